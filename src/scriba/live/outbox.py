"""What waits to be sent to one client: a slow reader misses partials, never anything that is kept."""

from __future__ import annotations

import asyncio
from collections import deque

from scriba.live.events import Lag, Partial
from scriba.live.numbered import Acknowledged, Numbered

MOST_EVENTS = 20_000
"""Kept events that wait for one client; with more of them it is too slow, and must come back later."""


class Outbox:
    """Belongs to one event loop. ``get`` returns everything that waits, in order; None when it was closed."""

    def __init__(self, most: int = MOST_EVENTS) -> None:
        self._most = most
        self._kept: deque[Numbered] = deque()
        self._latest: dict[type, Numbered] = {}
        self._news = asyncio.Event()
        self._closed: str | None = None

    @property
    def closed(self) -> str | None:
        """Why it was closed."""
        return self._closed

    def put(self, numbered: Numbered) -> None:
        if self._closed is not None:
            return
        if isinstance(numbered.event, (Partial, Lag, Acknowledged)):
            self._latest[type(numbered.event)] = numbered
        else:
            self._kept.append(numbered)
            # It spoke of words that have moved on.
            self._latest.pop(Partial, None)
            if len(self._kept) > self._most:
                self.close("too slow")
        self._news.set()

    def close(self, why: str) -> None:
        """Nothing more will come; what waits can still be had."""
        if self._closed is None:
            self._closed = why
            self._news.set()

    async def get(self) -> list[Numbered] | None:
        while not self._kept and not self._latest:
            if self._closed is not None:
                return None
            self._news.clear()
            await self._news.wait()
        items = [*self._kept, *self._latest.values()]
        self._kept.clear()
        self._latest.clear()
        return items
