"""A worker: takes jobs, does them, and writes down what becomes of them, as long as it holds them."""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

import structlog

from scriba.domain.cancel import CancelToken
from scriba.domain.errors import ScribaError, StorageUnavailableError
from scriba.domain.job import Job, JobProgress
from scriba.jobs.errors import back_off, can_pass, code_of, message_of
from scriba.jobs.keeper import Keeper
from scriba.jobs.port import Delivery, Queue
from scriba.jobs.runner import Runner, WindowReport
from scriba.jobs.statements import Hold, LostLeaseError
from scriba.jobs.table import JobTable
from scriba.store.results import ResultStore

T = TypeVar("T")
WATCH_SECONDS = 0.1
"""How often a worker looks whether its jobs are still its own: cancelling takes effect within this time."""
_INSIST_SECONDS = 120.0
"""How long a worker tries to write down what it did while the database does not answer."""
_INSIST_LATE_SECONDS = 5.0
_INSIST_PAUSE = 0.5
_EARLY_SECONDS = 1.0
"""How long after a delivery that came too early the next one comes."""
log = structlog.get_logger(__name__)


def owner_name() -> str:
    """A name that no other worker has, and that tells a person where to look."""
    return f"{socket.gethostname()[:60]}:{os.getpid()}:{secrets.token_hex(4)}"


def own_fingerprint(job_id: str) -> str:
    """What no other work has: a result under it answers nobody else."""
    return hashlib.sha256(f"own\n{job_id}".encode()).hexdigest()


@dataclass(slots=True)
class _Running:
    job: Job
    hold: Hold
    cancel: CancelToken = field(default_factory=CancelToken)
    lost: bool = False
    released: bool = False


class Worker:
    """Does jobs until it is told to stop. Belongs to one event loop.

    Args:
        slots: jobs at once.
        lease: seconds for which a job is its own without a sign of life.
        finished: awaited with every job that this worker has brought to its end.
    """

    def __init__(
        self,
        table: JobTable,
        results: ResultStore,
        queue: Queue,
        runner: Runner,
        keeper: Keeper,
        *,
        slots: int = 1,
        lease: float = 10.0,
        finished: Callable[[Job], Awaitable[None]] | None = None,
    ) -> None:
        self._table = table
        self._results = results
        self._queue = queue
        self._runner = runner
        self._keeper = keeper
        self._slots = slots
        self._lease = lease
        self._finished = finished
        self.owner = owner_name()
        self._running: dict[str, _Running] = {}
        self._late = False

    async def run(self, stop: asyncio.Event, grace: float = 0.0) -> None:
        """Work until ``stop``; what still runs ``grace`` seconds later goes back into the queue as it is."""
        helpers = [
            asyncio.create_task(work)
            for work in (
                self._watch(),
                self._renew(),
                self._keeper.run(stop),
                self._release_late(stop, grace),
            )
        ]
        try:
            await self._queue.consume(self._handle, self._slots, stop)
        finally:
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)

    async def _handle(self, job_id: str) -> Delivery | None:
        """Take a job and do it; what it returns is to be delivered again."""
        try:
            job = await self._table.claim(job_id, self.owner, self._lease)
        except ScribaError as error:
            log.warning("job not claimed", job=job_id, why=error.message)
            return None
        if job is None:
            return await self._too_early(job_id)
        running = _Running(job, Hold(job.id, self.owner, job.attempt))
        self._running[job_id] = running
        if self._late:  # told to end while the claim was on its way
            running.released = True
            running.cancel.cancel()
        started = time.monotonic()
        log.info("job started", job=job.id, kind=job.kind.value, attempt=job.attempt)
        try:
            ended = await self._do(running, started)
        except LostLeaseError:
            log.info("job given up", job=job.id, why="it is no longer held")
            return None
        except Exception:
            # Neither done nor failed: the lease runs out, and the job is tried again.
            log.exception("job not written down", job=job.id)
            return None
        finally:
            del self._running[job_id]
        log.info(
            "job ended", job=job.id, state=ended.state.value, seconds=round(time.monotonic() - started, 3)
        )
        if not ended.state.finished:
            delay = 0.0 if running.released else max(0.0, ended.not_before - ended.updated_at)
            return Delivery.of(ended, delay)
        if self._finished is not None:
            await self._finished(ended)
        return None

    async def _too_early(self, job_id: str) -> Delivery | None:
        """What could not be claimed is delivered again until its job is over.

        Another worker's lease may be about to run out: the keeper that frees the job then offers it in vain,
        since it is delivered already, and this very delivery would be lost.
        """
        try:
            job = await self._table.get(job_id)
        except ScribaError:
            return None
        if job.state.finished:
            return None
        return Delivery.of(job, max(_EARLY_SECONDS, job.not_before - job.updated_at))

    async def _do(self, running: _Running, started: float) -> Job:
        job, hold = running.job, running.hold
        answered = await self._insist(lambda: self._table.answer(hold))
        if answered is not None:
            return answered
        done = [document for _, document in await self._insist(lambda: self._table.windows_after(job.id, -1))]

        async def tell(report: WindowReport) -> None:
            await self._insist(
                lambda: self._table.record_window(
                    hold, report.number, report.document, report.progress, self._lease, report.language
                )
            )

        async def tell_progress(progress: JobProgress) -> None:
            await self._table.record_progress(hold, progress)

        try:
            outcome = await self._runner.run(job, done, running.cancel, tell, tell_progress)
            fingerprint = own_fingerprint(job.id) if outcome.own else job.fingerprint
            result = await self._results.put(fingerprint, job.kind.value, outcome.document)
        except LostLeaseError:
            raise
        except Exception as error:
            return await self._failed(running, error, time.monotonic() - started)
        try:
            return await self._insist(
                lambda: self._table.complete(
                    hold,
                    self._results,
                    result,
                    language=outcome.language,
                    audio_duration=outcome.audio_duration,
                    processing_seconds=time.monotonic() - started,
                )
            )
        except LostLeaseError:
            await self._results.drop(result)
            raise
        except ScribaError as error:
            await self._results.drop(result)
            return await self._failed(running, error, time.monotonic() - started)

    async def _failed(self, running: _Running, error: Exception, seconds: float) -> Job:
        job, hold = running.job, running.hold
        if running.lost:
            raise LostLeaseError(job.id)
        if running.released:
            released = await self._insist(lambda: self._table.release(hold))
            if released is None:
                raise LostLeaseError(job.id)
            return released
        code, message = code_of(error), message_of(error)
        if not isinstance(error, ScribaError):
            log.error("job failed", job=job.id, exc_info=error)
        if can_pass(error) and job.attempt < job.max_attempts:
            delay = back_off(job.attempt)
            return await self._insist(lambda: self._table.retry(hold, code, message, delay, seconds))
        return await self._insist(lambda: self._table.fail(hold, code, message, seconds))

    async def _insist(self, write: Callable[[], Awaitable[T]]) -> T:
        """Try until the database answers: what was computed is worth waiting for."""
        end = time.monotonic() + _INSIST_SECONDS
        while True:
            try:
                return await write()
            except StorageUnavailableError:
                moment = time.monotonic()
                if (
                    self._late
                ):  # whoever ends this process will not wait for long; the lease runs out by itself
                    end = min(end, moment + _INSIST_LATE_SECONDS)
                if moment > end:
                    raise
                await asyncio.sleep(_INSIST_PAUSE)

    async def _watch(self) -> None:
        """Stop the work on what was cancelled, deleted or given to another worker."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            await self._look(lambda holds: self._table.still_held(self.owner, holds))

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self._lease / 4)
            await self._look(lambda holds: self._table.renew(self.owner, holds, self._lease))

    async def _look(self, ask: Callable[[list[Hold]], Awaitable[set[str]]]) -> None:
        asked = list(self._running.values())
        if not asked:
            return
        try:
            held = await ask([running.hold for running in asked])
        except ScribaError as error:
            log.warning("leases cannot be looked at", why=error.message)
            return
        for running in asked:
            # Only those that are still running now: a job may have ended while the table was asked.
            if running.job.id not in held and self._running.get(running.job.id) is running:
                running.lost = True
                running.cancel.cancel()

    async def _release_late(self, stop: asyncio.Event, grace: float) -> None:
        await stop.wait()
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(grace)
            self._late = True
            for running in self._running.values():
                running.released = True
                running.cancel.cancel()
