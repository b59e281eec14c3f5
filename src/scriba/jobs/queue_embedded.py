"""The queue of one machine: the table itself is looked at, at once when this process puts something in."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from scriba.domain.errors import StorageFullError, StorageUnavailableError
from scriba.jobs.port import Delivery, Handler
from scriba.jobs.table import JobTable
from scriba.jobs.tasks import Slots, wait_for_any

POLL_SECONDS = 0.5
"""How often the table is looked at for what comes due, or from another process."""
log = structlog.get_logger(__name__)


class EmbeddedQueue:
    """Implements ``scriba.jobs.port.Queue`` on the jobs table. Belongs to one event loop."""

    def __init__(self, table: JobTable) -> None:
        self._table = table
        self._news = asyncio.Event()

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def offer(self, deliveries: Sequence[Delivery]) -> None:
        if deliveries:
            self._news.set()

    async def consume(self, handle: Handler, slots: int, stop: asyncio.Event) -> None:
        taken = Slots(slots)
        while not stop.is_set():
            self._news.clear()
            taken.freed.clear()
            if taken.free:
                for job_id in await self._due(taken):
                    taken.start(job_id, handle(job_id))
            await wait_for_any(POLL_SECONDS, self._news, taken.freed, stop)
        await taken.join()

    async def _due(self, taken: Slots) -> list[str]:
        try:
            return await self._table.due(taken.free, list(taken.running))
        except (StorageUnavailableError, StorageFullError) as error:
            log.warning("the queue cannot be read", why=error.message)
            return []
