"""How many requests are taken at once: bounded, first come, first served."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from scriba.domain.errors import OverloadedError

_FIRST_GUESS_SECONDS = 5.0
_MIN_RETRY_SECONDS = 1.0
_MAX_RETRY_SECONDS = 60.0
_SMOOTHING = 0.2
"""Weight of the newest piece of work in the running mean of how long one takes."""


class Admission:
    """At most ``running`` requests work, and at most ``queued`` more upload or wait their turn.

    Belongs to one event loop.
    """

    def __init__(self, running: int, queued: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._running = running
        self._capacity = running + queued
        self._taken = 0
        self._permits = asyncio.Semaphore(running)
        self._mean_seconds = _FIRST_GUESS_SECONDS
        self._clock = clock

    @property
    def taken(self) -> int:
        """Requests that have a place now."""
        return self._taken

    @contextmanager
    def place(self) -> Iterator[AdmittedPlace]:
        """A place from a request's first byte to the last byte of its answer.

        Raises:
            OverloadedError: every place is taken; ``retry_after`` is about when one will be free.
        """
        if self._taken >= self._capacity:
            raise OverloadedError(
                f"The server is full: it has {self._taken} requests and takes no more than {self._capacity}.",
                retry_after=self._retry_after(),
            )
        self._taken += 1
        place = AdmittedPlace(self._permits, self._clock)
        try:
            yield place
        finally:
            self._taken -= 1
            seconds = place.end()
            if seconds is not None:
                self._mean_seconds += _SMOOTHING * (seconds - self._mean_seconds)

    def _retry_after(self) -> float:
        return min(max(self._mean_seconds / self._running, _MIN_RETRY_SECONDS), _MAX_RETRY_SECONDS)


class AdmittedPlace:
    """See ``scriba.doors.context.Place``."""

    def __init__(self, permits: asyncio.Semaphore, clock: Callable[[], float]) -> None:
        self._permits = permits
        self._clock = clock
        self._started: float | None = None

    async def start(self) -> None:
        """Wait for a permit to work; it is given back when the place ends."""
        await self._permits.acquire()
        self._started = self._clock()

    def end(self) -> float | None:
        """Give the permit back. Seconds that it was held; None when it never was."""
        if self._started is None:
            return None
        seconds = self._clock() - self._started
        self._started = None
        self._permits.release()
        return seconds
