"""Connections to PostgreSQL: what a URL may say, and sessions of processes that stand still."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import select

from scriba.domain.errors import StorageUnavailableError
from scriba.jobs.queue_pgqueuer import PgQueuerQueue
from scriba.store.database import Database
from scriba.store.migrate import migrate
from scriba.store.postgres import connect, dsn
from scriba.store.tables import media
from tests.postgres import PostgresServer
from tests.stores import open_stores


@pytest.mark.parametrize(
    "query", ["sslmode=prefer", "ssl=prefer", "application_name=mine", "sslmode=disable"]
)
async def test_a_url_may_have_parameters_as_other_programs_take_them(
    postgres: PostgresServer, query: str
) -> None:
    database = Database(f"{postgres.create_database()}?{query}")
    await migrate(database)
    queue = PgQueuerQueue(database.url)
    await queue.open()
    await queue.close()
    await database.close()


async def test_why_nobody_is_let_in_is_said(postgres: PostgresServer) -> None:
    for url, why in (
        (postgres.url("none"), 'database "none" does not exist'),
        (postgres.url().replace("postgres@", "nobody@"), 'role "nobody" does not exist'),
        (postgres.url() + "?sslmode=maybe", "sslmode"),
        ("postgresql://u@no-such-host.invalid/d", "host of the database is not known"),
    ):
        database = Database(url)
        with pytest.raises(StorageUnavailableError, match=why):
            await migrate(database)
        with pytest.raises(StorageUnavailableError):
            await PgQueuerQueue(database.url).open()
        await database.close()


@pytest.mark.parametrize("between", ["statements", "halves of a statement"])
async def test_who_stands_still_in_a_transaction_is_cut_off(
    postgres: PostgresServer, tmp_path: Path, between: str
) -> None:
    async with open_stores(postgres.create_database(), tmp_path) as stores:
        recording = await stores.recording()
        free = select(media.c.id).where(media.c.id == recording.id).with_for_update(skip_locked=True)

        async def is_free() -> bool:
            async with stores.database.write() as connection:
                return (await connection.execute(free)).first() is not None

        still = await connect(dsn(stores.database.url))
        await still.execute("BEGIN")
        await still.execute("UPDATE media SET name = 'nobody'")
        if between == "halves of a statement":
            await still.prepare("DELETE FROM media")
        assert not await is_free()
        await stores.database.end_frozen(60)
        assert not await is_free()
        await asyncio.sleep(0.3)
        await stores.database.end_frozen(0.2)
        end = asyncio.get_running_loop().time() + 5
        while not await is_free():
            assert asyncio.get_running_loop().time() < end
            await asyncio.sleep(0.02)
        assert (await stores.media.get(recording.id)).name == recording.name
        # Between the halves of a statement the client may notice only that its own turn was cut short.
        gone = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
        with pytest.raises(gone):
            await still.execute("COMMIT")
        # Who only waits for work, and programs that are not ours, are left alone.
        idle, other = await connect(dsn(stores.database.url)), await asyncpg.connect(dsn(stores.database.url))
        await other.execute("BEGIN")
        await asyncio.sleep(0.05)
        await stores.database.end_frozen(0.0)
        await asyncio.sleep(0.2)
        for one in (idle, other):
            assert await one.fetchval("SELECT 1") == 1
            await one.close()
