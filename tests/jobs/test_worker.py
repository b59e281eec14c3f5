"""Workers on both queues: once, in order, cancelled within a second, and nothing lost."""

from __future__ import annotations

import asyncio
import time

import pytest

from scriba.domain.errors import EngineError, StorageFullError
from scriba.domain.job import Job, JobKind, JobState
from scriba.jobs.keeper import Keeper
from scriba.jobs.port import Delivery
from scriba.jobs.statements import Hold
from scriba.store.results import ResultStore, StoredResult
from tests.jobs.doubles import FakeBatch, OddError, open_queue, submit, texts, until, working
from tests.stores import Stores

ALL = ["window 0", "window 1", "window 2"]


async def test_a_job_is_done(stores: Stores) -> None:
    ended: list[Job] = []

    async def note(job: Job) -> None:
        ended.append(job)

    async with working(stores, FakeBatch(), finished=note) as (queue, _):
        job = await submit(stores)
        await queue.offer([Delivery.of(job)])
        done = await until(stores.jobs, job.id, JobState.COMPLETED)
        assert await texts(stores, done) == ALL
        assert (done.language, done.audio_duration, done.attempt) == ("en", 30.0, 1)
        assert done.processing_seconds is not None
        await asyncio.sleep(0.05)
    assert [one.id for one in ended] == [job.id]


async def test_voice_activity_is_a_job_too(stores: Stores) -> None:
    async with working(stores, FakeBatch()) as (queue, _):
        job = await submit(stores, kind=JobKind.VAD)
        await queue.offer([Delivery.of(job)])
        done = await until(stores.jobs, job.id, JobState.COMPLETED)
    assert await stores.results.get(done.result_id) == b'{"regions":[[0,16000]]}'


async def test_progress_can_be_watched(stores: Stores) -> None:
    batch = FakeBatch(windows=10, seconds=0.1)
    async with working(stores, batch) as (queue, _):
        job = await submit(stores)
        await queue.offer([Delivery.of(job)])
        seen = []
        while (now := await stores.jobs.get(job.id)).state is not JobState.COMPLETED:
            seen.append(now.progress.fraction)
            await asyncio.sleep(0.02)
    assert seen == sorted(seen)
    assert len(set(seen)) > 5


async def test_cancelling_stops_the_work_within_a_second(stores: Stores) -> None:
    batch = FakeBatch(seconds=30)
    async with working(stores, batch) as (queue, _):
        job = await submit(stores)
        await queue.offer([Delivery.of(job)])
        await until(stores.jobs, job.id, JobState.RUNNING)
        while not batch.running:
            await asyncio.sleep(0.01)
        started = time.monotonic()
        await stores.jobs.cancel(job.id)
        while batch.running:
            await asyncio.sleep(0.01)
            assert time.monotonic() - started < 1
        assert (await stores.jobs.get(job.id)).state is JobState.CANCELLED


async def test_a_deleted_job_stops_too(stores: Stores) -> None:
    batch = FakeBatch(seconds=30)
    async with working(stores, batch) as (queue, _):
        job = await submit(stores)
        await queue.offer([Delivery.of(job)])
        while not batch.running:
            await asyncio.sleep(0.01)
        started = time.monotonic()
        await stores.jobs.remove(job.id)
        while batch.running:
            await asyncio.sleep(0.01)
            assert time.monotonic() - started < 1


async def test_bad_media_fails_at_once_with_its_message(stores: Stores) -> None:
    async with working(stores, FakeBatch()) as (queue, _):
        media = await stores.recording(b"no media at all")
        job = await submit(stores, media_id=media.id)
        await queue.offer([Delivery.of(job)])
        failed = await until(stores.jobs, job.id, JobState.FAILED)
    assert (failed.attempt, failed.error_code, failed.error) == (
        1,
        "unsupported_media",
        "The file is no recording.",
    )


async def test_what_can_pass_is_tried_again_behind_what_is_done(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scriba.jobs.worker.back_off", lambda attempt: 0.2 * attempt)
    batch = FakeBatch()
    batch.faults = [(1, EngineError("It failed.")), (2, OddError("secret path"))]
    async with working(stores, batch) as (queue, _):
        job = await submit(stores)
        await queue.offer([Delivery.of(job)])
        done = await until(stores.jobs, job.id, JobState.COMPLETED)
    assert done.attempt == 3
    assert await texts(stores, done) == ALL
    assert batch.heard == [0, 1, 2]  # nothing twice


async def test_what_never_passes_fails_after_its_attempts(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scriba.jobs.worker.back_off", lambda _: 0.05)
    batch = FakeBatch()
    batch.faults = [(0, OddError("secret path"))] * 5
    async with working(stores, batch) as (queue, _):
        job = await submit(stores, max_attempts=3)
        await queue.offer([Delivery.of(job)])
        failed = await until(stores.jobs, job.id, JobState.FAILED)
    assert failed.attempt == 3
    assert len(batch.faults) == 2
    assert "secret" not in (failed.error or "")


async def test_a_full_disk_fails_the_job_with_the_reason(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: object) -> StoredResult:
        raise StorageFullError("There is no room left in the store.")

    monkeypatch.setattr(ResultStore, "put", full)
    async with working(stores, FakeBatch()) as (queue, _):
        job = await submit(stores)
        await queue.offer([Delivery.of(job)])
        failed = await until(stores.jobs, job.id, JobState.FAILED)
    assert (failed.error_code, failed.error) == ("storage_full", "There is no room left in the store.")


async def test_a_dead_workers_job_goes_on_where_it_was(stores: Stores) -> None:
    """A claim by nobody alive, with two of three windows done."""
    job = await submit(stores)
    held = await stores.jobs.claim(job.id, "dead", 1.0)
    assert held is not None
    first = FakeBatch()
    from scriba.domain.cancel import CancelToken
    from scriba.jobs.runner import Runner, WindowReport
    from tests.jobs.doubles import FakeVoice

    async def tell(report: WindowReport) -> None:
        if report.number == 2:
            raise ZeroDivisionError  # dies before it is written
        await stores.jobs.record_window(
            Hold(job.id, "dead", 1), report.number, report.document, report.progress, 1.0, "en"
        )

    async def tell_progress(_: object) -> None: ...

    with pytest.raises(ZeroDivisionError):
        await Runner(stores.media, first, FakeVoice()).run(held, [], CancelToken(), tell, tell_progress)
    second = FakeBatch()
    async with working(stores, second):
        done = await until(stores.jobs, job.id, JobState.COMPLETED)
    assert second.heard == [2]
    assert await texts(stores, done) == ALL
    assert done.attempt == 2


async def test_a_lost_delivery_is_offered_again(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process died between the row and the delivery."""
    monkeypatch.setattr("scriba.jobs.keeper.LOST_SECONDS", 0.5)
    async with working(stores, FakeBatch()):
        job = await submit(stores)
        await until(stores.jobs, job.id, JobState.COMPLETED)


async def test_stopping_puts_running_jobs_back_as_they_are(stores: Stores) -> None:
    batch = FakeBatch(windows=3, seconds=0.2)
    async with working(stores, batch) as (queue, _):
        job = await submit(stores)
        await queue.offer([Delivery.of(job)])
        while len(batch.heard) < 1:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
    back = await stores.jobs.get(job.id)
    assert (back.state, back.attempt, back.owner) == (JobState.QUEUED, 0, None)
    async with working(stores, batch):
        done = await until(stores.jobs, job.id, JobState.COMPLETED)
    assert await texts(stores, done) == ALL
    assert batch.heard == [0, 1, 2]


async def test_a_job_that_is_claimed_while_the_worker_ends_goes_back_too(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = FakeBatch(seconds=30)
    claiming, told = asyncio.Event(), asyncio.Event()
    plain = stores.jobs.claim

    async def slow(job_id: str, owner: str, lease: float) -> Job | None:
        job = await plain(job_id, owner, lease)
        claiming.set()
        await told.wait()
        return job

    monkeypatch.setattr(stores.jobs, "claim", slow)
    queue = open_queue(stores)
    await queue.open()
    ending = working(stores, batch, queue=queue)
    await ending.__aenter__()
    job = await submit(stores)
    await queue.offer([Delivery.of(job)])
    await claiming.wait()
    # The worker is told to end, finds nothing at work, and then gets the answer to its claim.
    asyncio.get_running_loop().call_later(0.2, told.set)
    async with asyncio.timeout(5):
        await ending.__aexit__(None, None, None)
    back = await stores.jobs.get(job.id)
    assert (back.state, back.attempt, back.owner) == (JobState.QUEUED, 0, None)
    assert batch.heard == []
    await queue.close()


async def test_a_delivery_that_comes_before_the_lease_has_run_out_is_not_lost(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The dead worker's delivery is found before its lease has run out, and nobody offers the job again."""

    async def free(keeper: Keeper) -> None:
        await stores.jobs.recover()

    async def offer_nothing(keeper: Keeper) -> None: ...

    monkeypatch.setattr(Keeper, "recover", free)
    monkeypatch.setattr(Keeper, "offer_again", offer_nothing)
    job = await submit(stores)
    assert await stores.jobs.claim(job.id, "dead", 2.0) is not None
    async with working(stores, FakeBatch()) as (queue, _):
        await queue.offer([Delivery.of(job)])
        done = await until(stores.jobs, job.id, JobState.COMPLETED, seconds=10)
    assert done.attempt == 2


async def test_many_jobs_on_two_workers_each_once(stores: Stores) -> None:
    first, second = FakeBatch(1, 0.01), FakeBatch(1, 0.01)
    async with working(stores, first, slots=3) as (queue, _), working(stores, second, slots=3):
        media = await stores.recording()
        jobs = [await submit(stores, media_id=media.id) for _ in range(60)]
        await queue.offer([Delivery.of(job) for job in jobs])
        for job in jobs:
            done = await until(stores.jobs, job.id, JobState.COMPLETED, seconds=30)
            assert done.attempt == 1
    assert len(first.heard) + len(second.heard) == 60
    assert first.most_running <= 3
    assert first.heard or stores.database.is_sqlite
    assert second.heard


async def test_the_same_work_queued_twice_is_done_once(stores: Stores) -> None:
    batch = FakeBatch(seconds=0.05)
    first = await submit(stores)
    second = await submit(stores, media_id=first.media_id, fingerprint=first.fingerprint)
    async with working(stores, batch) as (queue, _):
        await queue.offer([Delivery.of(first), Delivery.of(second)])
        one = await until(stores.jobs, first.id, JobState.COMPLETED)
        two = await until(stores.jobs, second.id, JobState.COMPLETED)
    assert one.result_id == two.result_id
    assert batch.heard == [0, 1, 2]


async def test_a_worker_outlives_a_lease_that_is_shorter_than_the_job(stores: Stores) -> None:
    batch = FakeBatch(windows=1, seconds=3)
    async with working(stores, batch, lease=1.0) as (queue, _), working(stores, batch, lease=1.0):
        job = await submit(stores)
        await queue.offer([Delivery.of(job)])
        done = await until(stores.jobs, job.id, JobState.COMPLETED)
    assert done.attempt == 1
    assert batch.heard == [0]
    await asyncio.sleep(0)


async def test_nothing_listens_after_closing(stores: Stores) -> None:
    queue = open_queue(stores)
    await queue.open()
    await queue.close()
