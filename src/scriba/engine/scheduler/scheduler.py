"""The scheduler of one device: workers that take steps from the queue, and a watch over those that hang."""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import structlog

from scriba.domain.cancel import CancelToken
from scriba.domain.errors import CancelledByUserError, EngineError, OverloadedError
from scriba.engine.port import Engine
from scriba.engine.scheduler.job import Job, Priority, State
from scriba.engine.scheduler.waiting import ALLOWANCE, Waiting
from scriba.engine.scheduler.waits import Load, Waits
from scriba.engine.steps import Call, Flow, company, perform

T = TypeVar("T")
log = structlog.get_logger(__name__)

DEFAULT_BOUNDS = {Priority.LIVE: 256, Priority.INTERACTIVE: 1024, Priority.BATCH: 4096}
"""Waiting steps of each class beyond which more are refused."""


@dataclass(slots=True, eq=False)
class _Worker:
    """A thread and the jobs it is busy with. ``abandoned`` when it hung and another took its place."""

    thread: threading.Thread | None = None
    batch: list[Job] = field(default_factory=list)
    began: float = 0.0
    abandoned: bool = False


class Scheduler:
    """Performs the steps of many flows on one device. Thread-safe."""

    def __init__(
        self,
        workers: int,
        *,
        max_rows: int = 0,
        hang_seconds: float = 300.0,
        bounds: dict[Priority, int] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            workers: batches performed at once.
            max_rows: sequences decoded together at the most; 0 leaves it to the engine.
            hang_seconds: a step that takes longer fails, and its worker is replaced.
            bounds: steps of each class that may wait.
        """
        self._condition = threading.Condition()
        self._waiting = Waiting(workers, max_rows)
        self._waits = Waits()
        self._busy = dict.fromkeys(Priority, 0.0)
        self._bounds = DEFAULT_BOUNDS | (bounds or {})
        self._hang_seconds = hang_seconds
        self._clock = clock
        self._order = itertools.count()
        self._closed = False
        self._mean_step = 0.5
        self._workers: list[_Worker] = []
        with self._condition:
            for _ in range(workers):
                self._start_worker()
        self._stopped = threading.Event()
        self._watch = threading.Thread(target=self._watch_workers, name="scriba-watch", daemon=True)
        self._watch.start()

    @property
    def workers(self) -> int:
        return self._waiting.workers

    @property
    def waiting(self) -> int:
        """Steps that no worker has begun."""
        with self._condition:
            return len(self._waiting)

    def load(self) -> dict[Priority, Load]:
        """What waits and has waited, of each class."""
        with self._condition:
            return {own: self._waits.load(own, self._waiting.count(own)) for own in Priority}

    def busy_seconds(self, priority: Priority) -> float:
        """Seconds that workers have spent on steps of this class, each job with its part of a batch."""
        with self._condition:
            return self._busy[priority]

    def in_flight(self, engine: Engine, rows: int) -> int:
        """Windows of one recording worth having under way, each taking ``rows`` of a batch: enough for a full
        batch on every worker."""
        return self.workers * self._waiting.most_windows(engine, rows) + 1

    def submit(
        self,
        flow: Flow[T],
        engine: Engine | None,
        *,
        priority: Priority = Priority.INTERACTIVE,
        cancel: CancelToken | None = None,
        ahead: float = 0.0,
        patience: float = 0.0,
        reach: float = math.inf,
        expires_in: float | None = None,
    ) -> Future[T]:
        """Have a flow driven to its end; the future gets what it returns or raises.

        Args:
            ahead: seconds by which this runs ahead of need; it lets others of its class go first.
            patience: seconds its decodings may wait for company.
            reach: and only while steps wait that are due at most so many seconds after it.
            expires_in: seconds after which it is not worth beginning any more.

        Raises:
            OverloadedError: too much of this class is waiting.
            EngineError: the scheduler is closed.
        """
        now = self._clock()
        job = Job(
            flow=flow,
            engine=engine,
            priority=priority,
            cancel=cancel or CancelToken(),
            due=now + ALLOWANCE[priority] + ahead,
            order=next(self._order),
            patience=patience,
            reach=reach,
            expires=None if expires_in is None else now + expires_in,
        )
        with self._condition:
            if self._closed:
                raise EngineError("The server is shutting down.")
            waiting = self._waiting.count(priority)
            if waiting >= self._bounds[priority]:
                wait = max(1.0, waiting * self._mean_step / self.workers)
                raise OverloadedError("The server is busy. Try again later.", retry_after=round(wait, 1))
            if self._advance(job, lambda: next(flow)):
                self._waiting.add(job, now)
                self._condition.notify()
        return cast("Future[T]", job.future)

    def call(
        self,
        work: Callable[[], T],
        *,
        priority: Priority = Priority.INTERACTIVE,
        cancel: CancelToken | None = None,
        ahead: float = 0.0,
    ) -> Future[T]:
        """Have inference of another kind done in its turn; ``work`` takes a fraction of a second.

        Raises: as ``submit``.
        """

        def flow() -> Flow[T]:
            result: T = yield Call(work)
            return result

        return self.submit(flow(), None, priority=priority, cancel=cancel, ahead=ahead)

    def close(self, *, timeout: float | None = None) -> None:
        """Cancel what waits, let running steps end, and stop; ``timeout`` bounds the wait in seconds."""
        with self._condition:
            self._closed = True
            for job in self._waiting.pop_all():
                self._end(job, State.CANCELLED, CancelledByUserError("The server is shutting down."))
            self._condition.notify_all()
            threads = [worker.thread for worker in self._workers if worker.thread is not None]
        self._stopped.set()
        for thread in (*threads, self._watch):
            thread.join(timeout)

    def _start_worker(self) -> None:
        worker = _Worker()
        name = f"inference-{len(self._workers)}"
        worker.thread = threading.Thread(target=self._work, args=(worker,), name=name, daemon=True)
        self._workers.append(worker)
        worker.thread.start()

    def _work(self, worker: _Worker) -> None:
        while True:
            with self._condition:
                batch = self._next_batch()
                while not batch:
                    if self._closed or worker.abandoned:
                        return
                    self._condition.wait()
                    batch = self._next_batch()
                worker.batch, worker.began = batch, self._clock()
            try:
                results: list[Any] = perform(
                    batch[0].engine, [job.step for job in batch if job.step is not None]
                )
                error: BaseException | None = None
            except BaseException as caught:
                results, error = [], caught
            with self._condition:
                if worker.abandoned:
                    return  # the watch has already answered for these jobs, and another thread works on
                took = self._clock() - worker.began
                self._mean_step += 0.1 * (took / len(batch) - self._mean_step)
                worker.batch = []
                for index, job in enumerate(batch):
                    self._busy[job.priority] += took / len(batch)
                    self._after_step(job, None if error else results[index], error)
                self._condition.notify_all()

    def _next_batch(self) -> list[Job]:
        now = self._clock()
        self._end_ended(now)
        running = [worker.batch[0].priority for worker in self._workers if worker.batch]
        batch = self._waiting.take(now, running)
        for job in batch:
            job.become(State.RUNNING)
            self._waits.note(job.priority, now - job.since)
        return batch

    def _after_step(self, job: Job, result: Any, error: BaseException | None) -> None:
        if job.cancel.cancelled or job.future.cancelled():
            self._end(job, State.CANCELLED, _cancelled())
        elif error is not None:
            # The flow may know what to do about it; mostly it does not, and the error is the job's.
            if self._advance(job, lambda: job.flow.throw(error)):
                self._wait_again(job)
        elif self._advance(job, lambda: job.flow.send(result)):
            self._wait_again(job)

    def _wait_again(self, job: Job) -> None:
        job.become(State.WAITING)
        self._waiting.add(job, self._clock())

    def _advance(self, job: Job, go_on: Callable[[], Any]) -> bool:
        """Get the flow's next step; False when there is none and the job has ended."""
        try:
            job.step = go_on()
            # Here, too: a request that the engine cannot place ends its own job, never the thread.
            job.key = company(job.engine, job.step)
        except StopIteration as stop:
            if job.state is State.WAITING:  # submitted with nothing left to do
                job.become(State.RUNNING)
            self._end(job, State.DONE, result=stop.value)
            return False
        except BaseException as error:
            self._end(job, State.FAILED, error)
            return False
        return True

    def _end(self, job: Job, state: State, error: BaseException | None = None, result: Any = None) -> None:
        job.become(state)
        job.step = None
        job.flow.close()
        with suppress(InvalidStateError):  # its owner cancelled the future meanwhile
            if error is None:
                job.future.set_result(result)
            else:
                job.future.set_exception(error)

    def _watch_workers(self) -> None:
        """Answer for steps that never end, and for jobs that end while every worker is busy."""
        while not self._stopped.wait(min(1.0, self._hang_seconds / 4)):
            with self._condition:
                now = self._clock()
                for worker in [own for own in self._workers if own.batch]:
                    if now - worker.began > self._hang_seconds:
                        self._replace(worker)
                self._end_ended(now)

    def _replace(self, worker: _Worker) -> None:
        """The thread is lost, the device and the other users are not."""
        log.error("inference hangs", jobs=len(worker.batch))
        worker.abandoned = True
        self._workers.remove(worker)
        for job in worker.batch:
            self._end(job, State.FAILED, EngineError("The model did not answer in time."))
        self._start_worker()

    def _end_ended(self, now: float) -> None:
        for job in self._waiting.pop_ended(now):
            if job.cancel.cancelled or job.future.cancelled():
                self._end(job, State.CANCELLED, _cancelled())
            else:
                error = OverloadedError("The server was too busy to do this in time.", retry_after=1.0)
                self._end(job, State.FAILED, error)


def _cancelled() -> CancelledByUserError:
    return CancelledByUserError("The work was cancelled.")
