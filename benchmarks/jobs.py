"""``make bench-jobs``: the cost of remembering. No speech is recognised except by the pollers' server.

    python -m benchmarks.jobs [--quick] [--database sqlite|postgresql] [--only NAME]

Each figure is printed with what it is of. PostgreSQL is Debian's, started for this and gone afterwards.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import logging
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
import wave
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import structlog
from sqlalchemy import insert

from benchmarks.jobs_bare import open_bare
from scriba.domain.cancel import CancelToken
from scriba.domain.events import Event, Finished, Progress, SegmentReady, WindowFinished
from scriba.domain.job import JobKind
from scriba.domain.options import TranscribeOptions
from scriba.domain.resume import ResumePoint
from scriba.domain.transcript import Segment, Task, Transcript
from scriba.jobs.codec import dumps, options_to_json
from scriba.jobs.keeper import Keeper
from scriba.jobs.port import Delivery, Queue
from scriba.jobs.queue_embedded import EmbeddedQueue
from scriba.jobs.runner import Runner
from scriba.jobs.table import JobTable, NewJob
from scriba.jobs.worker import Worker
from scriba.store.blobs import Blobs
from scriba.store.database import Database
from scriba.store.media import MediaStore
from scriba.store.migrate import migrate
from scriba.store.results import ResultStore
from scriba.store.tables import jobs as jobs_table
from scriba.transcribe.port import Source
from scriba.transcribe.voice import VoiceActivity

OPTIONS = dumps(options_to_json(TranscribeOptions()))
UPLOAD_BYTES = 2_000_000_000
ROUNDS = 5


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def told(name: str, seconds: list[float]) -> None:
    """Median and 95th percentile in milliseconds."""
    ordered = sorted(seconds)
    high = ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]
    median = statistics.median(ordered)
    say(f"  {name}: median {median * 1e3:.2f} ms, 95 % under {high * 1e3:.2f} ms (n={len(ordered)})")


async def beside(
    name: str,
    baseline: str,
    tries: int,
    ours: Callable[[], Awaitable[object]],
    theirs: Callable[[], Awaitable[object]],
) -> None:
    """Medians in turns, so that both meet the same machine; and the ratio of each turn's medians."""
    medians: dict[str, list[float]] = {"Scriba": [], baseline: []}
    for _ in range(ROUNDS):
        for who, work in (("Scriba", ours), (baseline, theirs)):
            seconds = []
            for _ in range(tries):
                started = time.perf_counter()
                await work()
                seconds.append(time.perf_counter() - started)
            medians[who].append(statistics.median(seconds))
    own, other = (statistics.median(medians[who]) for who in medians)
    ratio = statistics.median(a / b for a, b in zip(*medians.values(), strict=True))
    say(
        f"  {name}: median {own * 1e3:.2f} ms ({1 / own:.0f}/s); {baseline} {other * 1e3:.2f} ms "
        f"({1 / other:.0f}/s); {ratio:.2f} times the baseline's (n={tries} in each of {ROUNDS} turns)"
    )


@asynccontextmanager
async def stores(url: str, folder: Path) -> AsyncIterator[tuple[Database, JobTable, MediaStore, ResultStore]]:
    database = Database(url)
    await migrate(database)
    blobs = Blobs.open(folder / "blobs")
    (folder / "spool").mkdir(exist_ok=True)
    try:
        yield (
            database,
            JobTable(database),
            MediaStore(database, blobs, folder / "spool"),
            ResultStore(database, blobs),
        )
    finally:
        await database.close()


def new_job(media_id: str) -> NewJob:
    return NewJob(JobKind.TRANSCRIPTION, "jobs", media_id, OPTIONS, uuid.uuid4().hex * 2)


def _row(state: str, media_id: str, moment: float) -> dict[str, Any]:
    return {
        "id": str(uuid.uuid4()),
        "kind": "transcription",
        "door": "jobs",
        "state": state,
        "priority": 0,
        "media_id": media_id,
        "options": OPTIONS,
        "request": "{}",
        "fingerprint": uuid.uuid4().hex * 2,
        "attempt": 0,
        "max_attempts": 3,
        "not_before": moment,
        "created_at": moment,
        "updated_at": moment,
        "progress_done": 0.0,
    }


async def fill(database: Database, count: int, state: str, media_id: str) -> None:
    """So many jobs at once, a second apart."""
    start = time.time() - count
    for first in range(0, count, 1000):
        rows = [_row(state, media_id, start + number) for number in range(first, min(count, first + 1000))]
        async with database.write() as connection:
            await connection.execute(insert(jobs_table), rows)


async def queued(url: str, folder: Path, *, quick: bool) -> None:
    """Submissions a second and the latency of a claim, with many jobs queued."""
    count, tries = (1000, 100) if quick else (10_000, 1000)
    async with stores(url, folder) as (database, table, media, _):
        recording, _ = await media.add(io.BytesIO(b"a recording"), "a.wav")
        await fill(database, count, "queued", recording.id)
        bare = await open_bare(database)

        async def claim() -> None:
            (job_id,) = await table.due(1)
            assert await table.claim(job_id, "bench", 60) is not None

        await beside(
            f"submission with {count:,} queued, one client",
            bare.name,
            tries // ROUNDS,
            lambda: table.submit(new_job(recording.id)),
            lambda: bare.submit(_row("queued", recording.id, time.time())),
        )
        await beside(
            f"claim (find and take) with {count:,} queued",
            bare.name,
            min(tries, 300) // ROUNDS,
            claim,
            bare.claim,
        )
        await bare.close()
        started = time.perf_counter()

        async def some() -> None:
            for _ in range(tries // 8):
                await table.submit(new_job(recording.id))

        await asyncio.gather(*(some() for _ in range(8)))
        together = tries // 8 * 8 / (time.perf_counter() - started)
        say(f"  submissions by eight clients: {together:.0f}/s")
        positions: list[float] = []
        for job_id in (await table.due(2000))[-50:]:
            started = time.perf_counter()
            await table.position(await table.get(job_id))
            positions.append(time.perf_counter() - started)
        told("status with its place in the queue", positions)


async def history(url: str, folder: Path, *, quick: bool) -> None:
    """Pages of a long history."""
    count = 10_000 if quick else 100_000
    async with stores(url, folder) as (database, table, media, _):
        recording, _ = await media.add(io.BytesIO(b"a recording"), "a.wav")
        await fill(database, count, "completed", recording.id)
        for size in (20, 100):
            seconds: list[float] = []
            after: str | None = None
            for _ in range(count // size if quick else 300):
                started = time.perf_counter()
                page = await table.page(limit=size, after=after, door="jobs")
                seconds.append(time.perf_counter() - started)
                if not page:
                    break
                after = page[-1].id
            told(f"page of {size} of {count:,} jobs, walking from the newest", seconds)
        middle: list[float] = []
        oldest = await table.page(limit=1, door="jobs")
        for _ in range(50):
            started = time.perf_counter()
            await table.page(limit=100, after=oldest[0].id, door="jobs")
            middle.append(time.perf_counter() - started)
        told("the same page again and again", middle)


class Sleeper:
    """Implements ``ResumableTranscriber``: one window that takes ``seconds``, of no processor."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def run(
        self, source: Source, options: TranscribeOptions, cancel: CancelToken, resume: ResumePoint
    ) -> Iterator[Event]:
        cancel.wait(self._seconds)
        segment = Segment(0, 0.0, 1.0, "text", "en")
        yield SegmentReady(segment)
        yield Progress(1.0, 1.0)
        yield WindowFinished(ResumePoint(1, (segment,), (), "en", 1.0))
        yield Finished(Transcript((segment,), 1.0, "en", 1.0, Task.TRANSCRIBE, "none"))


async def scaling(url: str, folder: Path, *, quick: bool) -> None:
    """From one worker to two, on work of a fixed cost."""
    count, cost = (40, 0.1) if quick else (200, 0.1)
    rates: dict[int, float] = {}
    for number in (1, 2):
        async with stores(url, folder) as (database, table, media, results):
            recording, _ = await media.add(io.BytesIO(b"a recording"), "a.wav")
            ids = [(await table.submit(new_job(recording.id)))[0].id for _ in range(count)]
            queues: list[Queue] = []
            for _ in range(number):
                queues.append(EmbeddedQueue(table) if database.is_sqlite else _pgqueuer(database))
                await queues[-1].open()
            await queues[0].offer([Delivery(job_id) for job_id in ids])
            stop = asyncio.Event()
            started = time.perf_counter()
            running = [
                asyncio.create_task(
                    Worker(
                        table,
                        results,
                        queue,
                        Runner(media, Sleeper(cost), VoiceActivity()),
                        Keeper(table, queue),
                    ).run(stop)
                )
                for queue in queues
            ]
            while (await table.counts()).get("completed", 0) < count * (1 if number == 1 else 2):
                await asyncio.sleep(0.05)
            rates[number] = count / (time.perf_counter() - started)
            stop.set()
            await asyncio.gather(*running)
            for queue in queues:
                await queue.close()
    say(
        f"  {count} jobs of {cost * 1e3:.0f} ms: {rates[1]:.1f}/s with one worker, {rates[2]:.1f}/s with two "
        f"({rates[2] / rates[1]:.2f} times)"
    )


def _pgqueuer(database: Database) -> Queue:
    from scriba.jobs.queue_pgqueuer import PgQueuerQueue

    return PgQueuerQueue(database.url)


class ServerProcess:
    """A ``scriba serve`` with the bundled model."""

    def __init__(self, folder: Path, **environment: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SCRIBA_")}
        own = {"SCRIBA_DATA_DIR": str(folder), "SCRIBA_MODEL": "tiny.en", "SCRIBA_LOG_LEVEL": "warning"}
        command = [sys.executable, "-m", "scriba", "serve", "--port", str(port)]
        self.popen = subprocess.Popen(command, env=kept | own | environment)
        end = time.monotonic() + 180
        while True:
            with suppress(httpx.TransportError):
                if httpx.get(self.url + "/ready").status_code == 200:
                    return
            if time.monotonic() > end or self.popen.poll() is not None:
                self.popen.kill()
                raise RuntimeError("the server did not start")
            time.sleep(0.1)

    def stop(self) -> None:
        self.popen.terminate()
        self.popen.wait(60)


def upload(folder: Path, *, quick: bool) -> None:
    """The memory of a server that takes a large file."""
    size = UPLOAD_BYTES // (10 if quick else 1)
    server = ServerProcess(folder, SCRIBA_MAX_UPLOAD_MB="3000", SCRIBA_JOBS__WORKER="false")
    try:
        process = psutil.Process(server.popen.pid)
        before = peak = process.memory_info().rss
        done = threading.Event()

        def watch() -> None:
            nonlocal peak
            while not done.wait(0.02):
                peak = max(peak, process.memory_info().rss)

        watcher = threading.Thread(target=watch)
        watcher.start()
        boundary = "scriba"
        head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="large.wav"\r\n\r\n'
        ).encode()

        def body() -> Iterator[bytes]:
            yield head
            block = bytes(1 << 20)
            left = size
            while left:
                yield block[: min(left, len(block))]
                left -= min(left, len(block))
            yield f"\r\n--{boundary}--\r\n".encode()

        started = time.perf_counter()
        headers = {"content-type": f"multipart/form-data; boundary={boundary}"}
        answer = httpx.post(server.url + "/v1/jobs", content=body(), headers=headers, timeout=600)
        seconds = time.perf_counter() - started
        done.set()
        watcher.join()
        assert answer.status_code == 202, answer.text
        say(
            f"  {size / 1e9:.1f} GB in {seconds:.1f} s: {(peak - before) / 1e6:.0f} MB above the "
            f"{before / 1e6:.0f} MB before"
        )
    finally:
        server.stop()


def polling(folder: Path, *, quick: bool) -> None:
    """Status answers to 50 clients while 10 jobs run, on real speech."""
    server = ServerProcess(folder, SCRIBA_JOBS__SLOTS="10")
    try:
        ids = []
        for number in range(10):
            files = {"file": (f"{number}.wav", _speech(seconds=120 if quick else 600, skip=number))}
            ids.append(httpx.post(server.url + "/v1/jobs", files=files, timeout=60).json()["id"])

        async def poll() -> list[float]:
            seconds: list[float] = []
            async with httpx.AsyncClient(base_url=server.url, timeout=30) as http:

                async def client(number: int) -> None:
                    await asyncio.sleep(number / 50)
                    for _ in range(10 if quick else 20):
                        started = time.perf_counter()
                        answer = await http.get(f"/v1/jobs/{ids[number % 10]}")
                        seconds.append(time.perf_counter() - started)
                        assert answer.status_code == 200
                        await asyncio.sleep(0.5)

                await asyncio.gather(*(client(number) for number in range(50)))
                running = (await http.get("/v1/jobs", params={"status": "running"})).json()["data"]
                say(f"  {len(running)} of 10 jobs still ran at the end")
            return seconds

        told("status to 50 clients, each twice a second", asyncio.run(poll()))
    finally:
        server.stop()


def _speech(*, seconds: float, skip: int) -> bytes:
    """A WAV of repeated speech that differs by where it begins."""
    import importlib.util

    spec = importlib.util.find_spec("moonshine_voice")
    assert spec is not None
    assert spec.submodule_search_locations
    with wave.open(str(Path(spec.submodule_search_locations[0]) / "assets" / "beckett.wav"), "rb") as file:
        sound = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
    tiled = np.tile(np.roll(sound, skip * 1000), round(seconds * 16_000 / len(sound)))
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(tiled.tobytes())
    return out.getvalue()


ON_DATABASES: dict[str, Callable[..., Any]] = {"queued": queued, "history": history, "scaling": scaling}
ON_SERVERS: dict[str, Callable[..., None]] = {"upload": upload, "polling": polling}


def main() -> int:
    names = [*ON_DATABASES, *ON_SERVERS]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    parser = argparse.ArgumentParser(description="The cost of remembering.")
    parser.add_argument("--quick", action="store_true", help="less of everything")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], action="append")
    parser.add_argument("--only", choices=names, action="append")
    asked = parser.parse_args()
    wanted = asked.only or names
    kinds = asked.database or ["sqlite", "postgresql"]
    with tempfile.TemporaryDirectory(prefix="scriba-bench-") as temporary:
        for kind in kinds:
            _on_database(
                kind, [name for name in wanted if name in ON_DATABASES], Path(temporary), asked.quick
            )
        for name in [name for name in wanted if name in ON_SERVERS]:
            say(f"{name}:")
            folder = Path(temporary) / name
            folder.mkdir()
            ON_SERVERS[name](folder, quick=asked.quick)
    return 0


def _on_database(kind: str, names: list[str], temporary: Path, quick: bool) -> None:
    if not names:
        return
    if kind == "sqlite":
        for name in names:
            folder = temporary / f"sqlite-{name}"
            folder.mkdir()
            say(f"{name} on SQLite:")
            asyncio.run(ON_DATABASES[name](f"sqlite:///{folder / 'scriba.db'}", folder, quick=quick))
        return
    from tests.postgres import postgres_server

    with postgres_server() as server:
        for name in names:
            folder = temporary / f"postgresql-{name}"
            folder.mkdir()
            say(f"{name} on PostgreSQL:")
            asyncio.run(ON_DATABASES[name](server.create_database(), folder, quick=quick))


if __name__ == "__main__":
    sys.exit(main())
