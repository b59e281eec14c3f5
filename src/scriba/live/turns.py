"""Who speaks when, as a list of what is still to be dealt with: the voice's marks and the client's.

Can be restored without the audio that went before: marks that were dealt with are counted, and left out when
the same audio makes them again.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from scriba.domain.media import SAMPLE_RATE
from scriba.engine.port import Audio
from scriba.live.options import EndpointOptions
from scriba.live.voice import Endpointer, Mark, MarkKind


class Turns:
    """Marks of one stream, in order. ``position`` is the sample up to which it was listened to."""

    def __init__(self, options: EndpointOptions) -> None:
        self._options = options
        self.voice = Endpointer(options)
        self._marks: deque[Mark] = deque()
        self._passed = 0
        self._to_drop = 0
        self._flushes = 0
        self._flushes_passed = 0
        self._from = 0

    @property
    def position(self) -> int:
        return self.voice.position

    @property
    def waiting(self) -> bool:
        return bool(self._marks)

    @property
    def next(self) -> Mark | None:
        return self._marks[0] if self._marks else None

    @property
    def begins(self) -> int:
        """The first sample that must be heard again by ``restore``."""
        return self._from

    def hear(self, block: Audio) -> None:
        self._add(self.voice.push(block))

    def flush(self) -> None:
        """The client says that what was said so far is complete."""
        self._add(self.voice.end_now())
        self._flushes += 1
        if self._flushes > self._flushes_passed:
            self._marks.append(Mark(MarkKind.FLUSH, self.voice.position, self.voice.received))

    def take(self) -> Mark:
        """The next mark; it has been dealt with."""
        mark = self._marks.popleft()
        if mark.kind is MarkKind.FLUSH:
            self._flushes_passed += 1
        else:
            self._passed += 1
        return mark

    def put_back(self, mark: Mark) -> None:
        """It has not."""
        self._marks.appendleft(mark)
        self._passed -= 1

    def forget(self) -> None:
        """Nothing waits and nobody speaks: what lies before the last fresh start is not needed any more."""
        if self.voice.fresh_from > self._from:
            self._from = self.voice.fresh_from
            self._passed = 0

    def voiced_seconds(self, start: int, end: int) -> float:
        return self.voice.voiced_seconds(start, end)

    def since(self, sample: int) -> float:
        """Seconds that were listened to behind a sample."""
        return (self.voice.position - sample) / SAMPLE_RATE

    def state(self) -> dict[str, Any]:
        """As JSON."""
        return {"from": self._from, "passed": self._passed, "flushes": self._flushes_passed}

    def restore(self, state: dict[str, Any]) -> None:
        """The audio is then to be heard again from ``begins`` on."""
        self._from = state["from"]
        self._passed = self._to_drop = state["passed"]
        self._flushes_passed = state["flushes"]
        self.voice = Endpointer(self._options, self._from, self._from)

    def _add(self, marks: list[Mark]) -> None:
        dropped = min(self._to_drop, len(marks))
        self._to_drop -= dropped
        self._marks.extend(marks[dropped:])
