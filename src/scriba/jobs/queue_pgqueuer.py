"""The queue of many machines: PgQueuer on PostgreSQL.

Its own loop prefetches; here a delivery is taken only when there is a slot for it, so that no job waits
behind a busy worker while another is idle.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import asyncpg
import structlog
from pgqueuer.db import AsyncpgDriver, AsyncpgPoolDriver
from pgqueuer.models import Job as Delivered
from pgqueuer.queries import EntrypointExecutionParameter, Queries
from pgqueuer.types import QueueEntrypoint, QueueManagerId
from sqlalchemy.engine import URL

from scriba.domain.errors import StorageUnavailableError
from scriba.jobs.port import Delivery, Handler
from scriba.jobs.tasks import Slots, wait_for_any
from scriba.store.postgres import CUT_OFF, connect, connection_options, dsn

ENTRYPOINT = QueueEntrypoint("scriba")
POLL_SECONDS = 1.0
"""How often the queue is looked at although nothing was notified: what comes due, or was left by the dead."""
_TIDY_SECONDS = 600.0
_COMMAND_SECONDS = 30.0
_INSTALL_LOCK = 0x5C81BB
_LOST = (
    OSError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    CUT_OFF,
    TimeoutError,
    StorageUnavailableError,
)
log = structlog.get_logger(__name__)


class PgQueuerQueue:
    """Implements ``scriba.jobs.port.Queue``. Belongs to one event loop.

    Args:
        dead_after: seconds without a sign of life after which a delivery is another worker's.
    """

    def __init__(self, url: URL, dead_after: float = 10.0) -> None:
        self._dsn = dsn(url)
        self._dead_after = timedelta(seconds=dead_after)
        self._manager = QueueManagerId(uuid.uuid4())
        self._news = asyncio.Event()
        self._pool: asyncpg.Pool[Any] | None = None
        self._listener: asyncpg.Connection[Any] | None = None

    async def open(self) -> None:
        with _telling():
            connection = await connect(self._dsn)
            try:
                # Several processes may start at once. The lock goes with the transaction, also where the
                # process that has it stands still.
                async with connection.transaction():
                    await connection.execute("SELECT pg_advisory_xact_lock($1)", _INSTALL_LOCK)
                    queries = Queries(AsyncpgDriver(connection))
                    if not await queries.schema_is_installed():
                        await queries.install()
                    else:
                        await queries.upgrade()
            finally:
                await connection.close()
            self._pool = await asyncpg.create_pool(
                self._dsn, min_size=1, max_size=4, **connection_options(_COMMAND_SECONDS)
            )

    async def close(self) -> None:
        with suppress(*_LOST):
            if self._listener is not None:
                await self._listener.close(timeout=1)
        if self._pool is not None:
            try:
                await asyncio.wait_for(self._pool.close(), 5)
            except (*_LOST, asyncio.CancelledError):
                self._pool.terminate()

    async def offer(self, deliveries: Sequence[Delivery]) -> None:
        if not deliveries:
            return
        with _telling():
            await self._queries().enqueue(
                [ENTRYPOINT] * len(deliveries),
                [delivery.job_id.encode() for delivery in deliveries],
                [delivery.priority * 2 + delivery.again for delivery in deliveries],
                [timedelta(seconds=delivery.delay) for delivery in deliveries],
                [delivery.job_id for delivery in deliveries],
                on_conflict="skip",
            )

    async def consume(self, handle: Handler, slots: int, stop: asyncio.Event) -> None:
        taken = Slots(slots)
        deliveries: dict[str, Delivered] = {}
        beating = asyncio.create_task(self._beat(deliveries))
        try:
            while not stop.is_set():
                self._news.clear()
                taken.freed.clear()
                found = False
                if taken.free:
                    for delivered in await self._dequeue(taken.free):
                        found = True
                        job_id = (delivered.payload or b"").decode()
                        if job_id in taken.running:  # our own, late with its sign of life
                            continue
                        deliveries[job_id] = delivered
                        taken.start(job_id, self._handle(handle, job_id, delivered, deliveries))
                if not (found and taken.free):
                    await wait_for_any(POLL_SECONDS, self._news, taken.freed, stop)
            await taken.join()
        finally:
            beating.cancel()
            with suppress(asyncio.CancelledError):
                await beating

    async def _handle(
        self, handle: Handler, job_id: str, delivered: Delivered, deliveries: dict[str, Delivered]
    ) -> None:
        again: Delivery | None = None
        try:
            again = await handle(job_id)
        finally:
            del deliveries[job_id]
            # Done with this delivery before the next is offered: there is one of a job at a time.
            with suppress(*_LOST):
                await self._queries().log_jobs([(delivered, "successful", None)])
        if again is not None:
            with suppress(StorageUnavailableError):  # the keeper offers what is lost
                await self.offer([again])

    async def _dequeue(self, free: int) -> list[Delivered]:
        try:
            await self._listen()
            return await self._queries().dequeue(
                batch_size=free,
                entrypoints={ENTRYPOINT: EntrypointExecutionParameter(concurrency_limit=0)},
                queue_manager_id=self._manager,
                global_concurrency_limit=None,
                heartbeat_timeout=self._dead_after,
            )
        except _LOST as error:
            log.warning("the queue does not answer", why=type(error).__name__)
            return []

    async def _beat(self, deliveries: dict[str, Delivered]) -> None:
        """Signs of life for what is being worked on; and now and then the log away, which nobody reads."""
        tidied = time.monotonic()
        while True:
            await asyncio.sleep(self._dead_after.total_seconds() / 4)
            if deliveries:
                with suppress(*_LOST):
                    await self._queries().update_heartbeat([one.id for one in deliveries.values()])
            if time.monotonic() - tidied > _TIDY_SECONDS:
                tidied = time.monotonic()
                with suppress(*_LOST):
                    await self._queries().clear_queue_log([ENTRYPOINT])

    async def _listen(self) -> None:
        """Be told of news by the database; anew after its connection was lost."""
        if self._listener is not None and not self._listener.is_closed():
            return
        self._listener = await connect(self._dsn, _COMMAND_SECONDS)
        channel = self._queries().qbe.settings.channel
        await self._listener.add_listener(channel, lambda *_: self._news.set())

    def _queries(self) -> Queries:
        if self._pool is None:
            raise StorageUnavailableError("The queue is not open.")
        return Queries(AsyncpgPoolDriver(self._pool))


@contextmanager
def _telling() -> Iterator[None]:
    try:
        yield
    except _LOST as error:
        raise StorageUnavailableError("The queue does not answer.") from error
