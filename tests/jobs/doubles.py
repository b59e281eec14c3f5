"""A transcriber that hears what it is told to, at a set cost, and can go on; and workers on it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from scriba.domain.cancel import CancelToken
from scriba.domain.errors import ScribaError, UnsupportedMediaError
from scriba.domain.events import Event, Finished, LanguageDetected, Progress, SegmentReady, WindowFinished
from scriba.domain.job import Job, JobKind, JobState
from scriba.domain.options import TranscribeOptions, VadOptions
from scriba.domain.resume import ResumePoint
from scriba.domain.transcript import Segment, Transcript
from scriba.jobs.codec import dumps, options_to_json
from scriba.jobs.keeper import Keeper
from scriba.jobs.port import Queue
from scriba.jobs.queue_embedded import EmbeddedQueue
from scriba.jobs.queue_pgqueuer import PgQueuerQueue
from scriba.jobs.runner import Runner
from scriba.jobs.table import JobTable, NewJob
from scriba.jobs.worker import Worker
from scriba.transcribe.port import Source
from scriba.transcribe.voice import Voice
from tests.stores import Stores

OPTIONS = dumps(options_to_json(TranscribeOptions()))
T = TypeVar("T")


class FakeBatch:
    """Implements ``ResumableTranscriber``: ``windows`` windows of 10 s, ``seconds`` of work each.

    ``faults`` are raised one after another, each at the window it is given with; ``heard`` are all windows
    that were worked on.
    """

    def __init__(self, windows: int = 3, seconds: float = 0.0) -> None:
        self.windows = windows
        self.seconds = seconds
        self.faults: list[tuple[int, Exception]] = []
        self.heard: list[int] = []
        self.running = 0
        self.most_running = 0
        self._lock = threading.Lock()

    def run(
        self, source: Source, options: TranscribeOptions, cancel: CancelToken, resume: ResumePoint
    ) -> Iterator[Event]:
        with self._lock:
            self.running += 1
            self.most_running = max(self.most_running, self.running)
        try:
            yield from self._events(source, options, cancel, resume)
        finally:
            with self._lock:
                self.running -= 1

    def _events(
        self, source: Source, options: TranscribeOptions, cancel: CancelToken, resume: ResumePoint
    ) -> Iterator[Event]:
        data = source.read_bytes() if isinstance(source, Path) else source.read()
        if data.startswith(b"no media"):
            raise UnsupportedMediaError("The file is no recording.")
        segments = list(resume.segments)
        total = self.windows * 10.0
        yield LanguageDetected("en", 0.9)
        for number in range(resume.windows, self.windows):
            cancel.check()
            if self.faults and self.faults[0][0] == number:
                raise self.faults.pop(0)[1]
            cancel.wait(self.seconds)
            cancel.check()
            self.heard.append(number)
            segment = Segment(number, number * 10.0, number * 10.0 + 9.0, f"window {number}", "en")
            segments.append(segment)
            yield SegmentReady(segment)
            yield Progress(number * 10.0 + 10.0, total)
            yield WindowFinished(ResumePoint(number + 1, tuple(segments), (), "en", 0.9, (("en", 0.9),)))
        yield Finished(Transcript(tuple(segments), total, "en", 0.9, options.task, "fake"))


class FakeVoice:
    """Finds speech in the first second."""

    def run(
        self,
        source: Source,
        options: VadOptions,
        cancel: CancelToken,
        tell: Callable[[float, float | None], None],
    ) -> Voice:
        tell(1.0, 2.0)
        return Voice(((0, 16_000),), 2.0)


def open_queue(stores: Stores, dead_after: float = 10.0) -> Queue:
    """The queue that goes with the database."""
    if stores.database.is_sqlite:
        return EmbeddedQueue(stores.jobs)
    return PgQueuerQueue(stores.database.url, dead_after)


@asynccontextmanager
async def working(
    stores: Stores,
    transcriber: Any,
    *,
    slots: int = 1,
    lease: float = 10.0,
    grace: float = 0.0,
    queue: Queue | None = None,
    finished: Any = None,
) -> AsyncIterator[tuple[Queue, Worker]]:
    """A worker at work, on a queue of its own unless one is given."""
    own = queue is None
    used = queue or open_queue(stores, lease)
    if own:
        await used.open()
    stop = asyncio.Event()
    runner = Runner(stores.media, transcriber, FakeVoice())
    keeper = Keeper(stores.jobs, used, finished=finished)
    worker = Worker(
        stores.jobs, stores.results, used, runner, keeper, slots=slots, lease=lease, finished=finished
    )
    task = asyncio.create_task(worker.run(stop, grace))
    try:
        yield used, worker
    finally:
        stop.set()
        await task
        if own:
            await used.close()


async def submit(stores: Stores, **changes: Any) -> Job:
    values = {"options": OPTIONS, **changes}
    if values.get("kind") is JobKind.VAD and "options" not in changes:
        values["options"] = "{}"
    new: NewJob = await stores.new_job(**values)
    job, _ = await stores.jobs.submit(new)
    return job


async def until(table: JobTable, job_id: str, *states: JobState, seconds: float = 15.0) -> Job:
    """The job as soon as it is in one of the states."""
    end = asyncio.get_running_loop().time() + seconds
    while True:
        job = await table.get(job_id)
        if job.state in states:
            return job
        assert asyncio.get_running_loop().time() < end, f"it stays {job.state}: {job}"
        await asyncio.sleep(0.02)


async def texts(stores: Stores, job: Job) -> list[str]:
    body = json.loads(await stores.results.get(job.result_id))
    return [segment["text"] for segment in body["segments"]]


class OddError(Exception):
    """What nobody foresaw."""


__all__ = ["OddError", "ScribaError"]
