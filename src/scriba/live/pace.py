"""How full the machine is with live work, by how long a hearing takes from being asked for to its result."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass

FULL_SECONDS = 0.8
"""Mean turnaround from which a further session would make the others late."""
_SMOOTHING = 0.25
_FORGET_SECONDS = 5.0
_MOST_STRETCH = 4.0
_REST = 2.5
"""Turnarounds between two hearings of one stream while others wait. Asking as soon as the last was answered
would keep every stream in the queue all the time, and the queue as long as it can be."""
_LONGEST_COMPANY, _COMPANY = 0.25, 0.4
_BUSY_SECONDS = 2.0
"""A stream that asked for a hearing so lately is one of those that the machine is shared by."""
_SLOW = 2.0
"""Steps that a hearing may take before a stream that has the machine to itself hears less at once. From one
step on it is decoded greedily: on a slow machine the beam alone made words half a second later."""


@dataclass(frozen=True, slots=True)
class Effort:
    """What the machine has room for, for one stream.

    ``hurry``: leave out hearings that later audio makes needless. ``greedy``: decode so, and from a draft.
    ``thrift``: others wait, too: less sound at once. ``stretch``: so many steps lie between two hearings.
    """

    hurry: bool = False
    greedy: bool = False
    thrift: bool = False
    stretch: float = 1.0


AT_EASE = Effort()


class Pace:
    """Shared by all sessions of one scheduler. Belongs to one event loop."""

    def __init__(self, workers: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._workers = workers
        self._clock = clock
        self._turnaround = 0.0
        self._under_way = 0
        self._asked: dict[Hashable, float] = {}
        self._last = clock()

    @property
    def turnaround(self) -> float:
        """Mean seconds from asking to result, of late; 0 when nothing was asked for a while."""
        if self._under_way == 0 and self._clock() - self._last > _FORGET_SECONDS:
            self._turnaround = 0.0
        return self._turnaround

    @property
    def crowded(self) -> bool:
        """Whether hearings wait for others, or would as soon as all streams ask at once."""
        return max(self._under_way, self._busy) > self._workers

    def effort(self, step: float) -> Effort:
        """What may be spent on a stream that is heard every ``step`` seconds while there is room."""
        late = self.turnaround > step
        if not self.crowded:
            return Effort(hurry=late, greedy=late, thrift=self.turnaround > _SLOW * step)
        wanted = _REST * self.turnaround / step
        return Effort(hurry=True, greedy=True, thrift=True, stretch=max(1.0, min(wanted, _MOST_STRETCH)))

    @property
    def company(self) -> float:
        """Seconds a decoding may wait for those of other streams: in a batch each costs a third."""
        return min(_LONGEST_COMPANY, _COMPANY * self.turnaround) if self.crowded else 0.0

    @property
    def full(self) -> bool:
        """Whether one more stream would make the others late."""
        return self.turnaround > FULL_SECONDS

    @property
    def _busy(self) -> int:
        """Streams that were heard of late."""
        since = self._clock() - _BUSY_SECONDS
        return sum(asked > since for asked in self._asked.values())

    def began(self, stream: Hashable = None) -> float:
        """A hearing was asked for; when, to be told to ``ended``."""
        self._under_way += 1
        now = self._clock()
        self._asked = {own: at for own, at in self._asked.items() if at > now - _BUSY_SECONDS}
        self._asked[stream] = now
        return now

    def ended(self, began: float) -> None:
        self._under_way -= 1
        self._last = self._clock()
        took = self._last - began
        self._turnaround += (_SMOOTHING if self._turnaround else 0.5) * (took - self._turnaround)
