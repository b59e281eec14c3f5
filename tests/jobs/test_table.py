"""The jobs table: one owner at a time, and nobody else writes."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest

from scriba.domain.errors import ConflictError, GoneError, NotFoundError
from scriba.domain.job import Edge, Job, JobProgress, JobState
from scriba.jobs.statements import Hold, LostLeaseError
from scriba.jobs.table import JobTable
from scriba.store.database import Database
from tests.stores import Stores

LEASE = 10.0


async def claimed(
    stores: Stores, *, lease: float = LEASE, owner: str = "w", **changes: object
) -> tuple[Job, Hold]:
    job, _ = await stores.jobs.submit(await stores.new_job(**changes))
    held = await stores.jobs.claim(job.id, owner, lease)
    assert held is not None
    return held, Hold(held.id, owner, held.attempt)


async def completed(stores: Stores, hold: Hold, fingerprint: str, document: bytes = b"{}") -> Job:
    result = await stores.results.put(fingerprint, "transcription", document)
    return await stores.jobs.complete(
        hold, stores.results, result, language="en", audio_duration=3.0, processing_seconds=1.5
    )


async def test_a_job_from_end_to_end(stores: Stores) -> None:
    new = await stores.new_job(priority=3, request='{"a":1}')
    job, fresh = await stores.jobs.submit(new)
    assert fresh
    assert (job.state, job.attempt, job.priority, job.request) == (JobState.QUEUED, 0, 3, '{"a":1}')
    held = await stores.jobs.claim(job.id, "w", LEASE)
    assert held is not None
    assert (held.state, held.attempt, held.owner) == (JobState.RUNNING, 1, "w")
    assert held.lease_until is not None
    assert 0 < held.lease_until - held.updated_at <= LEASE + 1
    hold = Hold(job.id, "w", 1)
    await stores.jobs.record_window(hold, 0, "{}", JobProgress(1.0, 3.0), LEASE, "en")
    assert (await stores.jobs.get(job.id)).progress == JobProgress(1.0, 3.0)
    done = await completed(stores, hold, new.fingerprint, b'{"text":"x"}')
    assert (done.state, done.owner, done.language, done.audio_duration) == (
        JobState.COMPLETED,
        None,
        "en",
        3.0,
    )
    assert done.progress.fraction == 1.0
    assert await stores.results.get(done.result_id) == b'{"text":"x"}'
    assert await stores.jobs.windows_after(job.id, -1) == []


async def test_many_claimers_get_each_job_once(stores: Stores, database_url: str) -> None:
    tables = [stores.jobs, *(JobTable(Database(database_url)) for _ in range(3))]
    media = await stores.recording()
    for _ in range(60):
        await stores.jobs.submit(await stores.new_job(media_id=media.id))
    taken: list[str] = []

    async def work(number: int) -> None:
        table = tables[number % len(tables)]
        while due := await table.due(5):
            job = await table.claim(random.choice(due), f"w{number}", LEASE)
            if job is not None:
                taken.append(job.id)

    await asyncio.gather(*(work(number) for number in range(8)))
    assert len(taken) == len(set(taken)) == 60
    for table in tables[1:]:
        await table._database.close()


async def test_the_urgent_go_first_and_equals_in_order(stores: Stores) -> None:
    ids = [(await stores.jobs.submit(await stores.new_job(priority=p)))[0].id for p in (0, -5, 7, 0, 7)]
    expected = [ids[2], ids[4], ids[0], ids[3], ids[1]]
    assert await stores.jobs.due(10) == expected
    assert await stores.jobs.due(10, skip=expected[:2]) == expected[2:]
    assert await stores.jobs.due(1) == expected[:1]
    for position, job_id in enumerate(expected):
        assert await stores.jobs.position(await stores.jobs.get(job_id)) == position


async def test_a_zombie_changes_nothing(stores: Stores) -> None:
    """A worker that lost its lease: every one of its writes is refused, and leaves no trace."""
    job, old = await claimed(stores, lease=-1)
    assert [one.id for one in await stores.jobs.recover()] == [job.id]
    again = await stores.jobs.claim(job.id, "other", LEASE)
    assert again is not None
    assert again.attempt == 2
    before = await stores.jobs.get(job.id)
    result = await stores.results.put(job.fingerprint, "transcription", b"zombie")
    with pytest.raises(LostLeaseError):
        await stores.jobs.complete(
            old, stores.results, result, language=None, audio_duration=1, processing_seconds=1
        )
    with pytest.raises(GoneError):
        await stores.results.get(result.id)
    with pytest.raises(LostLeaseError):
        await stores.jobs.fail(old, "x", "y", 0)
    with pytest.raises(LostLeaseError):
        await stores.jobs.retry(old, "x", "y", 0, 0)
    with pytest.raises(LostLeaseError):
        await stores.jobs.record_window(old, 0, "{}", JobProgress(9, 9), LEASE, None)
    with pytest.raises(LostLeaseError):
        await stores.jobs.answer(old)
    assert await stores.jobs.release(old) is None
    assert await stores.jobs.renew("w", [old], LEASE) == set()
    assert await stores.jobs.still_held("w", [old]) == set()
    # The same worker, come back, and taken the job again: its earlier try is still a zombie.
    assert await stores.jobs.still_held("other", [Hold(job.id, "other", 1)]) == set()
    assert await stores.jobs.get(job.id) == before
    assert (await completed(stores, Hold(job.id, "other", 2), job.fingerprint)).state is JobState.COMPLETED


async def test_a_renewed_lease_does_not_run_out(stores: Stores) -> None:
    job, hold = await claimed(stores, lease=-1)
    assert await stores.jobs.renew("w", [hold], LEASE) == {job.id}
    assert await stores.jobs.recover() == []


async def test_the_last_attempt_is_the_last(stores: Stores) -> None:
    job, _ = await claimed(stores, lease=-1, max_attempts=2)
    (recovered,) = await stores.jobs.recover()
    assert recovered.state is JobState.QUEUED
    assert await stores.jobs.claim(job.id, "w", -1)
    (given_up,) = await stores.jobs.recover()
    assert (given_up.state, given_up.error_code) == (JobState.FAILED, "worker_lost")
    assert "lost on every attempt" in (given_up.error or "")


async def test_what_can_pass_waits_its_time(stores: Stores) -> None:
    job, hold = await claimed(stores)
    queued = await stores.jobs.retry(hold, "engine_error", "It failed.", 60, 2.0)
    assert (queued.state, queued.error, queued.processing_seconds) == (JobState.QUEUED, "It failed.", 2.0)
    assert await stores.jobs.due(10) == []
    assert await stores.jobs.claim(job.id, "w", LEASE) is None


async def test_a_released_job_keeps_its_attempts(stores: Stores) -> None:
    _, hold = await claimed(stores)
    released = await stores.jobs.release(hold)
    assert released is not None
    assert (released.state, released.attempt) == (JobState.QUEUED, 0)


async def test_cancelling(stores: Stores) -> None:
    queued, _ = await stores.jobs.submit(await stores.new_job())
    assert (await stores.jobs.cancel(queued.id)).state is JobState.CANCELLED
    running, hold = await claimed(stores)
    assert (await stores.jobs.cancel(running.id)).state is JobState.CANCELLED
    with pytest.raises(LostLeaseError):
        await completed(stores, hold, running.fingerprint)
    with pytest.raises(ConflictError, match="is cancelled"):
        await stores.jobs.cancel(running.id)
    with pytest.raises(NotFoundError):
        await stores.jobs.cancel("nothing")


async def test_trying_again_is_for_what_failed(stores: Stores) -> None:
    job, hold = await claimed(stores)
    with pytest.raises(ConflictError, match="is running"):
        await stores.jobs.requeue(job.id)
    await stores.jobs.fail(hold, "unsupported_media", "No media.", 0.1)
    again = await stores.jobs.requeue(job.id)
    assert (again.state, again.attempt, again.error) == (JobState.QUEUED, 0, None)
    await stores.jobs.cancel(job.id)
    assert job.media_id
    await stores.media.remove(job.media_id)
    with pytest.raises(ConflictError, match="no longer kept"):
        await stores.jobs.requeue(job.id)


async def test_an_idempotency_key_gives_one_job(stores: Stores) -> None:
    new = await stores.new_job(idempotency_key="k")
    made = await asyncio.gather(*(stores.jobs.submit(new) for _ in range(6)))
    assert len({job.id for job, _ in made}) == 1
    assert sum(fresh for _, fresh in made) == 1
    with pytest.raises(ConflictError, match="another request"):
        await stores.jobs.submit(await stores.new_job(idempotency_key="k"))


async def test_the_same_work_is_answered_from_its_result(stores: Stores) -> None:
    first, hold = await claimed(stores)
    assert first.media_id
    waiting, _ = await stores.jobs.submit(
        await stores.new_job(media_id=first.media_id, fingerprint=first.fingerprint)
    )
    done = await completed(stores, hold, first.fingerprint)
    second, fresh = await stores.jobs.submit(
        await stores.new_job(media_id=first.media_id, fingerprint=first.fingerprint)
    )
    assert fresh
    assert second.id != first.id
    assert (second.state, second.result_id, second.attempt) == (JobState.COMPLETED, done.result_id, 0)
    # One that was queued while the other ran is answered when its turn comes.
    assert await stores.jobs.claim(waiting.id, "w", LEASE)
    answered = await stores.jobs.answer(Hold(waiting.id, "w", 1))
    assert answered is not None
    assert (answered.state, answered.result_id) == (JobState.COMPLETED, done.result_id)
    # The result stays as long as one of its jobs does.
    await stores.jobs.remove(first.id)
    await stores.jobs.remove(waiting.id)
    assert await stores.results.remove_unreferenced() == 0
    await stores.jobs.remove(second.id)
    assert await stores.results.remove_unreferenced() == 1
    with pytest.raises(GoneError):
        await stores.results.get(done.result_id)


async def test_an_expired_result_leaves_its_job(stores: Stores) -> None:
    job, hold = await claimed(stores)
    await completed(stores, hold, job.fingerprint)
    assert await stores.results.expire(3600) == 0
    assert await stores.results.expire(-10) == 1
    kept = await stores.jobs.get(job.id)
    assert (kept.state, kept.result_id) == (JobState.COMPLETED, None)
    # Nothing is left to answer from: the same work is done anew.
    again, _ = await stores.jobs.submit(
        await stores.new_job(media_id=job.media_id, fingerprint=job.fingerprint)
    )
    assert again.state is JobState.QUEUED


async def test_a_job_on_no_recording_is_refused(stores: Stores) -> None:
    with pytest.raises(NotFoundError, match="recording"):
        await stores.jobs.submit(await stores.new_job(media_id="none"))


async def test_pages_hold_every_job_once_newest_first(stores: Stores) -> None:
    ids = [(await stores.jobs.submit(await stores.new_job()))[0].id for _ in range(7)]
    seen: list[str] = []
    after = None
    while page := await stores.jobs.page(limit=3, after=after):
        seen += [job.id for job in page]
        after = seen[-1]
    assert seen == ids[::-1]
    assert await stores.jobs.page(limit=3, state=JobState.FAILED) == []
    assert await stores.jobs.page(limit=3, door="tasks") == []
    with pytest.raises(NotFoundError):
        await stores.jobs.page(limit=3, after="nothing")


@pytest.mark.parametrize("edge", [edge for edge in Edge if edge.leaves], ids=lambda edge: edge.label)
async def test_no_edge_is_taken_from_anywhere_else(stores: Stores, edge: Edge) -> None:
    from scriba.jobs.statements import move
    from scriba.store.tables import jobs

    job, hold = await claimed(stores)
    reach: dict[JobState, Callable[[], Awaitable[object]]] = {
        JobState.QUEUED: lambda: stores.jobs.release(hold),
        JobState.RUNNING: lambda: asyncio.sleep(0),
        JobState.COMPLETED: lambda: completed(stores, hold, job.fingerprint),
        JobState.FAILED: lambda: stores.jobs.fail(hold, "a", "b", 0),
        JobState.CANCELLED: lambda: stores.jobs.cancel(job.id),
    }
    for state in JobState:
        job, hold = await claimed(stores)
        await reach[state]()
        async with stores.database.write() as connection:
            moved = await move(connection, edge, jobs.c.id == job.id)
        assert (moved is not None) == (state in edge.leaves), state
        assert (await stores.jobs.get(job.id)).state is (edge.target if moved else state)


async def test_of_orders_at_once_that_are_to_be_alone_one_is_taken(stores: Stores) -> None:
    media = await stores.recording()

    async def order(door: str) -> Job:
        new = await stores.new_job(media_id=media.id, alone=True, door=door)
        return (await stores.jobs.submit(new))[0]

    done = await asyncio.gather(*(order("library") for _ in range(8)), return_exceptions=True)
    (taken,) = [one for one in done if isinstance(one, Job)]
    refused = [one for one in done if not isinstance(one, Job)]
    assert [str(one) for one in refused] == ["Already in queue"] * 7
    assert all(isinstance(one, ConflictError) for one in refused)
    await order("other")
    await stores.jobs.cancel(taken.id)
    await order("library")


@pytest.mark.parametrize("job_id", ["nothing", "a\0b", "x" * 3000, "\ufffd"])
async def test_an_id_that_no_job_has_is_not_found_whatever_is_in_it(stores: Stores, job_id: str) -> None:
    with pytest.raises(NotFoundError):
        await stores.jobs.get(job_id)
    with pytest.raises(NotFoundError):
        await stores.jobs.remove(job_id)
    with pytest.raises(NotFoundError):
        await stores.jobs.page(limit=1, after=job_id)
    with pytest.raises(NotFoundError):
        await stores.jobs.submit(await stores.new_job(media_id=job_id))
    assert await stores.media.find(job_id) is None
