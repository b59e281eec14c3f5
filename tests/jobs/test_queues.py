"""What every queue must do. Both adapters run all of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from scriba.domain.job import Job, JobState
from scriba.jobs import queue_embedded, queue_pgqueuer
from scriba.jobs.port import Delivery, Queue
from tests.jobs.doubles import open_queue, submit
from tests.stores import Stores


@pytest.fixture
async def queue(stores: Stores) -> AsyncIterator[Queue]:
    made = open_queue(stores, dead_after=2.0)
    await made.open()
    yield made
    await made.close()


class Taker:
    """Claims what it is handed, as a worker does, and keeps it for ``seconds``."""

    def __init__(self, stores: Stores, seconds: float = 0.0) -> None:
        self.stores = stores
        self.seconds = seconds
        self.handed: list[str] = []
        self.claimed: list[str] = []
        self.running = 0
        self.most_running = 0
        self.again: dict[str, float] = {}

    async def __call__(self, job_id: str) -> Delivery | None:
        self.handed.append(job_id)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            job = await self.stores.jobs.claim(job_id, "taker", 60)
            if job is None:
                return None
            self.claimed.append(job_id)
            await asyncio.sleep(self.seconds)
            delay = self.again.pop(job_id, None)
            return None if delay is None else await self._later(job, delay)
        finally:
            self.running -= 1

    async def _later(self, job: Job, delay: float) -> Delivery:
        from scriba.jobs.statements import Hold

        await self.stores.jobs.retry(Hold(job.id, "taker", job.attempt), "a", "b", delay, 0)
        return Delivery.of(job, delay)


@asynccontextmanager
async def consuming(queue: Queue, taker: Taker, slots: int = 1) -> AsyncIterator[asyncio.Event]:
    stop = asyncio.Event()
    task = asyncio.create_task(queue.consume(taker, slots, stop))
    try:
        yield stop
    finally:
        stop.set()
        await asyncio.wait_for(task, 20)


async def have(taker: Taker, count: int, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while len(taker.claimed) < count:
        assert time.monotonic() < end, f"{len(taker.claimed)} of {count}"
        await asyncio.sleep(0.01)


async def offer(queue: Queue, *jobs: Job) -> None:
    await queue.offer([Delivery.of(job) for job in jobs])


async def test_what_is_offered_is_handed_out_at_once(
    stores: Stores, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nobody looks by himself for long, so that only being told brings it, however busy the machine.
    for module in (queue_embedded, queue_pgqueuer):
        monkeypatch.setattr(module, "POLL_SECONDS", 30.0)
    taker = Taker(stores)
    async with consuming(queue, taker):
        await asyncio.sleep(0.3)  # idle by now
        await offer(queue, await submit(stores))
        await have(taker, 1)


async def test_what_was_there_before_is_handed_out(stores: Stores, queue: Queue) -> None:
    jobs = [await submit(stores) for _ in range(5)]
    await offer(queue, *jobs)
    taker = Taker(stores)
    async with consuming(queue, taker, slots=2):
        await have(taker, 5)
    assert sorted(taker.claimed) == sorted(job.id for job in jobs)


async def test_the_urgent_come_first_and_equals_in_order(stores: Stores, queue: Queue) -> None:
    jobs = [await submit(stores, priority=priority) for priority in (0, -3, 5, 0, 5)]
    await offer(queue, *jobs)
    taker = Taker(stores)
    async with consuming(queue, taker):
        await have(taker, 5)
    assert taker.claimed == [jobs[index].id for index in (2, 4, 0, 3, 1)]


async def test_what_was_begun_before_goes_before_its_equals(stores: Stores, queue: Queue) -> None:
    begun, *others = [await submit(stores) for _ in range(4)]
    urgent = await submit(stores, priority=1)
    await stores.jobs.claim(begun.id, "dead", -1)
    await offer(queue, *others)
    await offer(queue, *await stores.jobs.recover())
    await offer(queue, urgent)
    taker = Taker(stores)
    async with consuming(queue, taker):
        await have(taker, 5)
    assert taker.claimed == [job.id for job in (urgent, begun, *others)]


async def test_no_more_at_once_than_there_are_slots(stores: Stores, queue: Queue) -> None:
    await offer(queue, *[await submit(stores) for _ in range(9)])
    taker = Taker(stores, seconds=0.05)
    async with consuming(queue, taker, slots=3):
        await have(taker, 9)
    assert taker.most_running == 3


async def test_a_busy_consumer_leaves_the_rest_to_others(stores: Stores, queue: Queue) -> None:
    other = open_queue(stores, dead_after=2.0)
    await other.open()
    busy, idle = Taker(stores, seconds=1.5), Taker(stores)
    async with consuming(queue, busy):
        first = await submit(stores)
        await offer(queue, first)
        await have(busy, 1)
        async with consuming(other, idle):
            rest = [await submit(stores) for _ in range(3)]
            await offer(queue, *rest)
            await have(idle, 3, seconds=1.4)
    assert busy.claimed == [first.id]
    await other.close()


async def test_a_delivery_waits_its_time(stores: Stores, queue: Queue) -> None:
    job = await submit(stores)
    taker = Taker(stores)
    taker.again[job.id] = 1.0
    async with consuming(queue, taker):
        await offer(queue, job)
        await have(taker, 1)
        started = time.monotonic()
        await have(taker, 2)
        assert 0.9 <= time.monotonic() - started < 2.6
    assert taker.claimed == [job.id, job.id]


async def test_offering_twice_does_the_job_once(stores: Stores, queue: Queue) -> None:
    job = await submit(stores)
    taker = Taker(stores)
    await offer(queue, job, job) if stores.database.is_sqlite else await offer(queue, job)
    await offer(queue, job)
    async with consuming(queue, taker):
        await have(taker, 1)
        await offer(queue, job)
        await asyncio.sleep(0.3)
    assert taker.claimed == [job.id]


async def test_what_is_no_longer_queued_is_dropped(stores: Stores, queue: Queue) -> None:
    gone, kept = await submit(stores), await submit(stores)
    await offer(queue, gone, kept)
    await stores.jobs.cancel(gone.id)
    taker = Taker(stores)
    async with consuming(queue, taker):
        await have(taker, 1)
    assert taker.claimed == [kept.id]


async def test_stopping_waits_for_what_is_in_hand_and_takes_no_more(stores: Stores, queue: Queue) -> None:
    jobs = [await submit(stores) for _ in range(3)]
    await offer(queue, *jobs)
    taker = Taker(stores, seconds=0.4)
    async with consuming(queue, taker) as stop:
        await have(taker, 1)
        stop.set()
    assert taker.running == 0
    assert len(taker.claimed) == 1
    states = [(await stores.jobs.get(job.id)).state for job in jobs]
    assert states == [JobState.RUNNING, JobState.QUEUED, JobState.QUEUED]


async def test_what_a_dead_consumer_had_comes_again(stores: Stores, queue: Queue) -> None:
    """The consumer is cut off in the middle, as a killed process is; its job's lease is over."""
    other = open_queue(stores, dead_after=2.0)
    await other.open()
    job = await submit(stores)
    taker = Taker(stores, seconds=30)
    task = asyncio.create_task(queue.consume(taker, 1, asyncio.Event()))
    await offer(queue, job)
    await have(taker, 1)
    task.cancel()
    for work in [work for work in asyncio.all_tasks() if work.get_name() == f"job {job.id}"]:
        work.cancel()
    # What a kill leaves: the delivery is still marked as picked, and nobody gives a sign of life.
    from scriba.jobs.statements import Hold

    await stores.jobs.release(Hold(job.id, "taker", 1))
    again = Taker(stores)
    async with consuming(other, again):
        await other.offer([Delivery.of(job)])
        await have(again, 1, seconds=8)
    assert again.claimed == [job.id]
    await other.close()


async def test_a_handler_that_fails_does_not_end_the_consumer(stores: Stores, queue: Queue) -> None:
    class Failing(Taker):
        async def __call__(self, job_id: str) -> Delivery | None:
            if not self.handed:
                self.handed.append(job_id)
                await self.stores.jobs.cancel(job_id)
                raise ZeroDivisionError
            return await super().__call__(job_id)

    taker = Failing(stores)
    await offer(queue, await submit(stores), await submit(stores))
    async with consuming(queue, taker):
        await have(taker, 1)
    assert len(taker.handed) == 2
