"""What puts right what a crash left crooked: leases of the dead, lost deliveries, what is too old."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence

import structlog

from scriba.domain.errors import ScribaError
from scriba.domain.job import Job
from scriba.jobs.port import Delivery, Queue
from scriba.jobs.table import JobTable
from scriba.jobs.tasks import wait_for_any

RECOVER_SECONDS = 1.0
LOST_SECONDS = 5.0
"""A job that has been due for so long may have lost its delivery, and is offered again."""
log = structlog.get_logger(__name__)


class Keeper:
    """Runs beside every worker; several at once do no harm.

    Args:
        finished: awaited with every job that is given up.
        chores: each with the seconds between two times; they must bear being cut short.
    """

    def __init__(
        self,
        table: JobTable,
        queue: Queue,
        *,
        finished: Callable[[Job], Awaitable[None]] | None = None,
        chores: Sequence[tuple[float, Callable[[], Awaitable[None]]]] = (),
    ) -> None:
        self._table = table
        self._queue = queue
        self._finished = finished
        self._chores = chores

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop``. Failures of the database are waited out."""
        work: list[tuple[float, Callable[[], Awaitable[None]]]] = [
            (RECOVER_SECONDS, self.recover),
            (LOST_SECONDS, self.offer_again),
            *self._chores,
        ]
        # A group waits for all of its tasks also when it is cancelled; none may be at the database later.
        async with asyncio.TaskGroup() as tasks:
            for seconds, one in work:
                tasks.create_task(_repeat(seconds, one, stop))

    async def recover(self) -> None:
        """Free what the dead hold."""
        moved = await self._table.recover()
        for job in moved:
            log.warning("worker lost", job=job.id, attempt=job.attempt, state=job.state.value)
        await self._queue.offer([Delivery.of(job) for job in moved if not job.state.finished])
        if self._finished is not None:
            for job in moved:
                if job.state.finished:
                    await self._finished(job)

    async def offer_again(self) -> None:
        """Close the gap between the table and the deliveries."""
        waiting = await self._table.waiting(LOST_SECONDS)
        await self._queue.offer([Delivery.of(job) for job in waiting])


async def _repeat(seconds: float, work: Callable[[], Awaitable[None]], stop: asyncio.Event) -> None:
    while not stop.is_set():
        try:
            await work()
        except ScribaError as error:
            log.warning("upkeep put off", why=error.message)
        except Exception:
            log.exception("upkeep failed")
        # Not all processes at the same moment.
        await wait_for_any(seconds * random.uniform(0.8, 1.2), stop)  # noqa: S311
