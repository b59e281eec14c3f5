"""How full the machine is with live work: how long hearings take, and what each costs."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from scriba.live.gate import Gate

FULL_SECONDS = 0.8
"""Mean turnaround from which a further session would make the others late."""
_FULL_ROUND = 1.25
"""Seconds in which each stream has to be heard once: where a further session would make it longer, it is
refused. The 95th percentile of lag was 2.3 s at about 1.1 s, and 4.9 s at 1.5 s (tiny.en)."""
_ARRIVAL_SECONDS = 5.0
"""For so long a new session is counted among those that are heard, though nobody may have spoken yet."""
_SMOOTHING, _COST_SMOOTHING = 0.25, 0.1
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
_PLACES = 4
"""Hearings for each worker that are under way at once: some are encoded while others make a full batch."""


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
    """Shared by all sessions of one scheduler. Belongs to one event loop.

    A stream asks for a hearing, enters the gate with what there is to hear by then, and is answered; or it
    withdraws.
    """

    def __init__(
        self,
        workers: int,
        busy: Callable[[], float] = lambda: 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            busy: seconds that workers have spent on live work, all together.
        """
        self.gate = Gate(_PLACES * workers)
        self.cost = 0.0
        """Seconds of a worker that a hearing takes; 0 while nothing is known of it."""
        self._workers = workers
        self._busy = busy
        self._clock = clock
        self._turnaround = 0.0
        self._asking: dict[Hashable, float] = {}
        self._heard: dict[Hashable, float] = {}
        self._arrived: dict[Hashable, float] = {}
        self._busy_before = busy()
        self._last = clock()

    @property
    def turnaround(self) -> float:
        """Mean seconds from asking to result, of late; 0 when nothing was asked for a while."""
        if not self._asking and self._clock() - self._last > _FORGET_SECONDS:
            self._turnaround = 0.0
        return self._turnaround

    @property
    def crowded(self) -> bool:
        """Whether hearings wait for others, or would as soon as all streams ask at once."""
        return len(self._active()) > self._workers

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

    def refusal(self, opening: int = 0) -> str | None:
        """Why one stream more would make the others late; None if it would not.

        Args:
            opening: sessions that are about to arrive.
        """
        if self.turnaround > FULL_SECONDS:
            return f"hearing a few words takes {self.turnaround:.1f} s"
        since = self._clock() - _ARRIVAL_SECONDS
        arrived = {stream for stream, at in self._arrived.items() if at > since}
        streams = len(self._active() | arrived) + opening + 1
        seconds = streams * self.cost / self._workers
        if seconds > _FULL_ROUND:
            return f"with one more, each would be heard every {seconds:.1f} s only"
        return None

    def arrive(self, stream: Hashable) -> None:
        """A session has begun."""
        self._arrived[stream] = self._clock()

    def depart(self, stream: Hashable) -> None:
        """It has ended, whatever it was waiting for."""
        self.withdraw(stream)
        self._arrived.pop(stream, None)
        self._heard.pop(stream, None)

    def ask(self, stream: Hashable) -> None:
        """There is something to hear."""
        self._asking[stream] = self._heard[stream] = self._clock()

    def withdraw(self, stream: Hashable) -> None:
        """There is not."""
        self._asking.pop(stream, None)
        self.gate.leave(stream)

    def answer(self, stream: Hashable) -> None:
        """It was heard."""
        self._last = self._clock()
        took = self._last - self._asking[stream]
        self._turnaround += (_SMOOTHING if self._turnaround else 0.5) * (took - self._turnaround)
        busy = self._busy()
        self.cost += _COST_SMOOTHING * (busy - self._busy_before - self.cost)
        self._busy_before = busy
        self.withdraw(stream)

    def _active(self) -> set[Hashable]:
        """Streams that wait for a hearing, or had one of late."""
        since = self._clock() - _BUSY_SECONDS
        return {*self._asking, *(stream for stream, at in self._heard.items() if at > since)}
