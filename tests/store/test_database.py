"""Transactions, migrations, and what a failing database says."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, select, text

from scriba.domain.errors import ConflictError, InvalidOptionError, StorageFullError, StorageUnavailableError
from scriba.store.clock import now
from scriba.store.database import Database
from scriba.store.migrate import config, migrate
from scriba.store.tables import metadata
from tests.stores import Stores


def _differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, metadata))


async def test_migrations_build_exactly_the_tables(stores: Stores) -> None:
    async with stores.database.write() as connection:
        assert await connection.run_sync(_differences) == []


async def test_every_released_revision_is_brought_up_to_date(database_url: str) -> None:
    database = Database(database_url)
    async with database.write() as connection:
        script = ScriptDirectory.from_config(await connection.run_sync(config))
    revisions = [revision.revision for revision in script.walk_revisions()][::-1]
    assert revisions[0] == "0001"
    for revision in revisions:
        async with database.write() as connection:
            if not database.is_sqlite:
                await connection.execute(text("DROP SCHEMA public CASCADE"))
                await connection.execute(text("CREATE SCHEMA public"))
            else:
                names = (
                    await connection.execute(text("SELECT name FROM sqlite_master WHERE type='table'"))
                ).scalars()
                for name in ("windows", "upload_parts", *names):
                    await connection.execute(text(f'DROP TABLE IF EXISTS "{name}"'))
        await migrate(database, revision)
        await migrate(database)
        async with database.write() as connection:
            assert await connection.run_sync(_differences) == []
    await database.close()


async def test_several_processes_may_migrate_at_once(database_url: str) -> None:
    databases = [Database(database_url) for _ in range(4)]
    await asyncio.gather(*(migrate(database) for database in databases))
    for database in databases:
        await database.close()


async def test_a_database_of_a_newer_version_is_refused(stores: Stores) -> None:
    async with stores.database.write() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConflictError, match="newer version"):
        await migrate(stores.database)


async def test_the_clock_is_the_databases(stores: Stores) -> None:
    import time

    async with stores.database.read() as connection:
        seconds = (await connection.execute(select(now()))).scalar_one()
    assert abs(seconds - time.time()) < 2
    assert seconds != int(seconds)


@pytest.mark.parametrize("url", ["mysql://h/d", "nonsense", "sqlite://", "sqlite:///:memory:"])
def test_another_database_is_refused(url: str) -> None:
    with pytest.raises(InvalidOptionError, match="DB_URL"):
        Database(url)


async def test_a_failed_transaction_leaves_nothing(stores: Stores) -> None:
    job = await stores.new_job()

    async def broken() -> None:
        async with stores.database.write() as connection:
            await connection.execute(text("DELETE FROM media"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await broken()
    assert await stores.media.find(job.media_id) is not None


async def test_writers_do_not_fail_on_each_other(stores: Stores, database_url: str) -> None:
    """Two processes' worth of writers that read before they write."""
    other = Database(database_url)
    media = await stores.recording()

    async def count(database: Database) -> None:
        async with database.write() as connection:
            size = (
                await connection.execute(
                    text(
                        "SELECT size FROM media FOR UPDATE"
                        if not database.is_sqlite
                        else "SELECT size FROM media"
                    )
                )
            ).scalar_one()
            await asyncio.sleep(0)
            await connection.execute(text("UPDATE media SET size = :size"), {"size": size + 1})

    await asyncio.gather(*(count(database) for database in (stores.database, other) * 20))
    assert (await stores.media.get(media.id)).size == media.size + 40
    await other.close()


async def test_sqlite_on_a_full_disk_says_so(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'small.db'}")
    await migrate(database)

    async def fill() -> None:
        async with database.write() as connection:
            await connection.execute(text("PRAGMA max_page_count = 60"))
            values = "('a', 'b', 'c', :big, 's', 0, 0, 0, 0, NULL, NULL)"
            await connection.execute(text(f"INSERT INTO webhooks VALUES {values}"), {"big": "x" * 500_000})

    with pytest.raises(StorageFullError, match="full"):
        await fill()
    async with database.read() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM webhooks"))).scalar_one() == 0
    await database.close()


async def test_a_database_that_is_not_there_is_told(tmp_path: Path) -> None:
    database = Database("postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(StorageUnavailableError):
        async with database.read():
            pass
    await database.close()
