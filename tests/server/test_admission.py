"""Places in the server: bounded, first come, first served, held to the end."""

from __future__ import annotations

import asyncio

import pytest

from scriba.domain.errors import OverloadedError
from scriba.server.admission import Admission


async def test_one_more_than_there_are_places_is_refused() -> None:
    admission = Admission(running=1, queued=1)
    with admission.place(), admission.place():
        with pytest.raises(OverloadedError, match="takes no more than 2") as caught, admission.place():
            pass
        assert 1 <= caught.value.retry_after <= 60
    assert admission.taken == 0
    with admission.place():
        pass


async def test_work_begins_in_the_order_of_arrival() -> None:
    admission = Admission(running=2, queued=20)
    begun: list[int] = []
    most = 0
    now = 0

    async def request(number: int) -> None:
        nonlocal most, now
        with admission.place() as place:
            await place.start()
            begun.append(number)
            now += 1
            most = max(most, now)
            await asyncio.sleep(0.01)
            now -= 1

    await asyncio.gather(*(request(number) for number in range(10)))
    assert begun == list(range(10))
    assert most == 2
    assert admission.taken == 0


async def test_who_gives_up_waiting_leaves_no_gap() -> None:
    admission = Admission(running=1, queued=5)
    with admission.place() as first:
        await first.start()

        async def wait() -> str:
            with admission.place() as place:
                await place.start()
                return "begun"

        impatient, patient = asyncio.create_task(wait()), asyncio.create_task(wait())
        await asyncio.sleep(0.01)
        impatient.cancel()
        with pytest.raises(asyncio.CancelledError):
            await impatient
        assert not patient.done()
        assert admission.taken == 2
    assert await patient == "begun"


async def test_retry_after_follows_how_long_work_takes() -> None:
    now = 0.0
    admission = Admission(running=1, queued=0, clock=lambda: now)
    for _ in range(30):
        with admission.place() as place:
            await place.start()
            now += 40.0
    with admission.place(), pytest.raises(OverloadedError) as caught, admission.place():
        pass
    assert 35 < caught.value.retry_after <= 40
