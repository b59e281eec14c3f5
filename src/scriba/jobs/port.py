"""How workers learn that there is work. The table alone says what the work is, and who has it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from scriba.domain.job import Job


@dataclass(frozen=True, slots=True)
class Delivery:
    """Word that a job is queued: it carries an id, and nothing of the job.

    ``delay`` is seconds from now. ``again`` says that the job was begun before: it goes before its equals.
    """

    job_id: str
    priority: int = 0
    delay: float = 0.0
    again: bool = False

    @classmethod
    def of(cls, job: Job, delay: float = 0.0) -> Delivery:
        return cls(job.id, job.priority, delay, job.attempt > 0)


Handler = Callable[[str], Coroutine[Any, Any, Delivery | None]]
"""Does the job of this id, if nobody else does; what it returns is delivered again later."""


class Queue(Protocol):
    """Brings ids to workers: each at least once, the urgent first, none before its time.

    What is delivered twice, or to a worker that comes too late, is sorted out by the claim in the table. What
    is lost is offered again by the keeper.
    """

    async def open(self) -> None:
        """Make it ready. Called once, before anything else.

        Raises:
            StorageUnavailableError: what it is kept in does not answer.
        """
        ...

    async def close(self) -> None: ...

    async def offer(self, deliveries: Sequence[Delivery]) -> None:
        """Announce jobs. One that is announced already is left as it is.

        Raises:
            StorageUnavailableError: what it is kept in does not answer.
        """
        ...

    async def consume(self, handle: Handler, slots: int, stop: asyncio.Event) -> None:
        """Hand ids to ``handle``, at most ``slots`` at once, until ``stop``; then wait for those in hand.

        Failures of what it is kept in are waited out.
        """
        ...
