"""A bounded set of running tasks, and waiting for whichever of several things comes first."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

log = structlog.get_logger(__name__)


class Slots:
    """At most so many jobs at once, by id."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self.running: dict[str, asyncio.Task[Any]] = {}
        self.freed = asyncio.Event()

    @property
    def free(self) -> int:
        return self._slots - len(self.running)

    def start(self, job_id: str, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.create_task(work, name=f"job {job_id}")
        self.running[job_id] = task
        task.add_done_callback(lambda done: self._end(job_id, done))

    async def join(self) -> None:
        while self.running:
            await asyncio.wait(self.running.values())

    def _end(self, job_id: str, task: asyncio.Task[Any]) -> None:
        del self.running[job_id]
        self.freed.set()
        if not task.cancelled() and task.exception() is not None:
            log.error("job handler failed", job=job_id, exc_info=task.exception())


async def wait_for_any(seconds: float, *events: asyncio.Event) -> None:
    """Return when one of the events is set, or after so many seconds."""
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in waits:
            one.cancel()
        # Not suppressing: this task may itself be cancelled here, and must not go on then.
        await asyncio.wait(waits)
