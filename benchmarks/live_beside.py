"""Live speech beside other work, at the speed of time, for as long as that takes."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import Self

from benchmarks.live import listen
from benchmarks.recordings import Speech


class LiveStreams:
    """So many streams, each saying one recording again and again until it is left; a context manager."""

    def __init__(self, url: str, speech: Speech, count: int) -> None:
        self._url, self._speech, self._count = url, speech, count
        self._thread = threading.Thread(target=lambda: asyncio.run(self._streams()), daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._begun = threading.Event()

    def __enter__(self) -> Self:
        self._thread.start()
        self._begun.wait()
        return self

    def __exit__(self, *_: object) -> None:
        if self._loop is not None and self._task is not None:
            self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join()

    async def _streams(self) -> None:
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        self._begun.set()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*(self._again(index) for index in range(self._count)))

    async def _again(self, index: int) -> None:
        while True:
            await listen(self._url, self._speech.samples, 0.3 * index)
