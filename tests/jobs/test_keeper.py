"""Upkeep beside the work: how it ends."""

from __future__ import annotations

import asyncio

import pytest

from scriba.jobs.keeper import Keeper
from tests.jobs.doubles import open_queue
from tests.stores import Stores


@pytest.mark.parametrize("slow_first", [True, False])
async def test_nothing_is_under_way_when_upkeep_was_cut_short(stores: Stores, slow_first: bool) -> None:
    """One chore that ends at once must not let another, which is still at the database, be forgotten."""
    under_way = asyncio.Event()
    ended = False

    async def quick() -> None:
        await asyncio.Event().wait()

    async def slow() -> None:
        nonlocal ended
        under_way.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.1)  # as a transaction is rolled back
            ended = True

    chores = [(60.0, slow), (60.0, quick)] if slow_first else [(60.0, quick), (60.0, slow)]
    running = asyncio.create_task(Keeper(stores.jobs, open_queue(stores), chores=chores).run(asyncio.Event()))
    await under_way.wait()
    running.cancel()
    await asyncio.wait([running])
    assert ended
