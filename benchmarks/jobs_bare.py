"""The baseline of ``benchmarks.jobs``: the bare driver on the same table, with nothing kept safe.

One ``INSERT`` for a submission, one ``UPDATE`` for a claim, each a transaction that is synced as Scriba's
are; no check of the recording, of earlier work, of keys. Nobody can do with less and still have a queue.
"""

from __future__ import annotations

import sqlite3
from typing import Any, Protocol

import asyncpg

from scriba.store.database import Database
from scriba.store.postgres import connect, dsn

_NEXT = "SELECT id FROM jobs WHERE state = 'queued' ORDER BY priority DESC, created_at, id LIMIT 1"


class Bare(Protocol):
    name: str

    async def submit(self, row: dict[str, Any]) -> None: ...

    async def claim(self) -> str: ...

    async def close(self) -> None: ...


async def open_bare(database: Database) -> Bare:
    if database.is_sqlite:
        return BareSqlite(str(database.url.database))
    return BarePostgres(await connect(dsn(database.url)))


class BareSqlite:
    name = "bare sqlite3"

    def __init__(self, path: str) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA synchronous=FULL")

    async def submit(self, row: dict[str, Any]) -> None:
        marks = ", ".join("?" * len(row))
        self._connection.execute(f"INSERT INTO jobs ({', '.join(row)}) VALUES ({marks})", tuple(row.values()))

    async def claim(self) -> str:
        taken = self._connection.execute(
            f"UPDATE jobs SET state = 'running', owner = 'bare' WHERE id = ({_NEXT}) RETURNING id"
        ).fetchone()
        return str(taken[0])

    async def close(self) -> None:
        self._connection.close()


class BarePostgres:
    name = "bare asyncpg"

    def __init__(self, connection: asyncpg.Connection[Any]) -> None:
        self._connection = connection

    async def submit(self, row: dict[str, Any]) -> None:
        marks = ", ".join(f"${number}" for number in range(1, len(row) + 1))
        await self._connection.execute(f"INSERT INTO jobs ({', '.join(row)}) VALUES ({marks})", *row.values())

    async def claim(self) -> str:
        return str(
            await self._connection.fetchval(
                "UPDATE jobs SET state = 'running', owner = 'bare'"
                f" WHERE id = ({_NEXT} FOR UPDATE SKIP LOCKED) RETURNING id"
            )
        )

    async def close(self) -> None:
        await self._connection.close()
