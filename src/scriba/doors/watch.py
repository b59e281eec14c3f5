"""Work goes on only while somebody waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.types import Receive

from scriba.domain.errors import CancelledByUserError, OverloadedError

T = TypeVar("T")

RESTART_SECONDS = 5.0
"""What a client whose request a shutdown cut off is told to wait before it tries again."""


async def run_while_wanted(receive: Receive, stopping: asyncio.Event, work: Coroutine[Any, Any, T]) -> T:
    """The result of ``work``, which is cancelled and awaited when the client hangs up or the server stops.

    The request's body must have been read: ``receive`` then yields nothing but the disconnect.

    Raises:
        CancelledByUserError: the client hung up first.
        OverloadedError: the server is shutting down.
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_until_disconnect(receive))
    stop = asyncio.ensure_future(stopping.wait())
    try:
        await asyncio.wait({task, gone, stop}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        if gone.done():
            raise CancelledByUserError("The client hung up.")
        raise OverloadedError("The server is shutting down.", retry_after=RESTART_SECONDS)
    finally:
        await _end(task, gone, stop)


async def _until_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _end(*tasks: asyncio.Future[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
