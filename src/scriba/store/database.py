"""The database: SQLite in a file, or PostgreSQL, by URL. Reading and writing are transactions of their own.

SQLite has one writer at a time. Writers of this process wait for each other in order, those of other
processes by SQLite's busy time-out; every write transaction takes the lock when it begins (``BEGIN
IMMEDIATE``), since one that read first and then wants to write can only fail.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from sqlite3 import OperationalError
from typing import Any

import structlog
from sqlalchemy import Engine, RowMapping, Select, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from scriba.domain.errors import InvalidOptionError, StorageFullError, StorageUnavailableError
from scriba.store.postgres import CUT_OFF, FROZEN_SECONDS, connect, dsn, end_frozen

_BUSY_SECONDS = 30
_POOL = 10
_PG_DISK_FULL = "53100"
_PG_LOST = ("25P03", "53300", "57P01", "57P02", "57P03")
log = structlog.get_logger(__name__)


def parse_url(text: str) -> URL:
    """The URL with the driver that is used here.

    Raises:
        InvalidOptionError: it is neither SQLite's nor PostgreSQL's.
    """
    try:
        url = make_url(text)
        backend = url.get_backend_name()
    except ArgumentError:
        raise InvalidOptionError("DB_URL is no database URL.", field="DB_URL") from None
    if backend == "sqlite":
        if not url.database or url.database == ":memory:":
            raise InvalidOptionError("DB_URL names no file: sqlite:///path/to/file.db.", field="DB_URL")
        return url.set(drivername="sqlite+aiosqlite")
    if backend in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+asyncpg")
    raise InvalidOptionError(
        f"DB_URL must begin with sqlite:// or postgresql://, not {backend}://.", field="DB_URL"
    )


class Database:
    """One process's connections."""

    def __init__(self, url: str) -> None:
        self.url = parse_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        if self.is_sqlite:
            Path(self.url.database or "").parent.mkdir(parents=True, exist_ok=True)
            self._writer = _sqlite_engine(self.url, 1, "BEGIN IMMEDIATE")
            self._reader = _sqlite_engine(self.url, _POOL, "BEGIN")
            self._quick = _quick_engine(self.url)
            self._threads = ThreadPoolExecutor(_POOL, thread_name_prefix="scriba-read")
        else:
            address = dsn(self.url)
            self._writer = self._reader = create_async_engine(
                self.url,
                pool_size=_POOL,
                max_overflow=_POOL,
                # A restarted server has dropped every connection; without this each costs one failure.
                pool_pre_ping=True,
                async_creator=lambda: connect(address),
            )

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that may write; committed when the context ends without an error.

        Raises:
            StorageFullError: the disk is full; nothing was written.
            StorageUnavailableError: the database does not answer.
        """
        async with _telling(), self._writer.begin() as connection:
            yield connection

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that only reads.

        Raises:
            StorageUnavailableError: the database does not answer.
        """
        async with _telling(), self._reader.begin() as connection:
            yield connection

    async def fetch(self, query: Select[Any]) -> Sequence[RowMapping]:
        """The rows of one query. What is asked often goes this way.

        SQLite's driver crosses to its thread and back for every step of a query, and each crossing waits for
        the interpreter while models are at work; here it crosses once.

        Raises:
            StorageUnavailableError: the database does not answer.
        """
        if not self.is_sqlite:
            async with self.read() as connection:
                found: Sequence[RowMapping] = (await connection.execute(query)).mappings().all()
                return found
        async with _telling():
            rows: Sequence[RowMapping] = await asyncio.get_running_loop().run_in_executor(
                self._threads, self._fetch, query
            )
            return rows

    def _fetch(self, query: Select[Any]) -> Sequence[RowMapping]:
        with self._quick.connect() as connection:
            rows: Sequence[RowMapping] = connection.execute(query).mappings().all()
        return rows

    async def end_frozen(self, seconds: float = FROZEN_SECONDS) -> None:
        """Take the rows from processes that stopped in the middle of a transaction.

        SQLite knows no such way: there others wait until the process goes on or ends.
        """
        if self.is_sqlite:
            return
        async with self.read() as connection:
            ended = (await connection.execute(end_frozen(seconds))).scalar_one()
        if ended:
            log.warning("stopped in a transaction, and cut off", sessions=ended)

    async def close(self) -> None:
        if self.is_sqlite:
            self._threads.shutdown()
            self._quick.dispose()
        await self._reader.dispose()
        await self._writer.dispose()


def _sqlite_engine(url: URL, size: int, begin: str) -> AsyncEngine:
    engine = create_async_engine(
        url,
        pool_size=size,
        max_overflow=0,
        pool_timeout=_BUSY_SECONDS,
        connect_args={"timeout": _BUSY_SECONDS},
    )

    @event.listens_for(engine.sync_engine, "connect")
    def connect(connection: Any, _: Any) -> None:
        # The driver must not begin transactions by itself: we say how each begins.
        connection.isolation_level = None
        cursor = connection.cursor()
        _write_ahead(cursor)
        # A job that was accepted is on the disk, also after a power cut.
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def start(connection: Any) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _quick_engine(url: URL) -> Engine:
    """For single queries without a transaction, from any thread."""
    return create_engine(
        url.set(drivername="sqlite+pysqlite"),
        isolation_level="AUTOCOMMIT",
        pool_size=_POOL,
        max_overflow=0,
        pool_timeout=_BUSY_SECONDS,
        connect_args={"timeout": _BUSY_SECONDS, "check_same_thread": False},
    )


def _write_ahead(cursor: Any) -> None:
    """Readers beside a writer. The file remembers it; SQLite does not wait for its turn to change it."""
    for _ in range(_BUSY_SECONDS * 20):
        try:
            cursor.execute("PRAGMA journal_mode")
            if cursor.fetchone()[0] == "wal":
                return
            cursor.execute("PRAGMA journal_mode=WAL")
        except OperationalError:
            time.sleep(0.05)  # another process makes the file at this moment
    raise StorageUnavailableError("The database is in use by something that does not let go of it.")


@asynccontextmanager
async def _telling() -> AsyncIterator[None]:
    try:
        yield
    except DBAPIError as error:
        known = _known(error)
        if known is None:
            raise
        raise known from error
    except PoolTimeoutError as error:
        raise StorageUnavailableError("The database is too busy to answer.") from error
    except (TimeoutError, OSError, CUT_OFF) as error:
        if isinstance(error, OSError) and not isinstance(error, ConnectionError | TimeoutError):
            raise
        raise StorageUnavailableError("The database does not answer.") from error


def _known(error: DBAPIError) -> Exception | None:
    text = str(error.orig)
    state = getattr(error.orig, "sqlstate", None)
    if state == _PG_DISK_FULL or "database or disk is full" in text or "No space left" in text:
        return StorageFullError("The disk of the database is full.")
    lost = error.connection_invalidated or state in _PG_LOST
    if lost or "database is locked" in text or (state is None and "connection" in text.lower()):
        return StorageUnavailableError("The database does not answer.")
    return None
