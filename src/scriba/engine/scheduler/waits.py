"""How long steps waited for a worker, class by class: what a full machine is known by."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from scriba.engine.scheduler.job import Priority

_REMEMBERED = 1000


@dataclass(frozen=True, slots=True)
class Load:
    """Of one class: steps that wait now, steps begun since the start, and the seconds that the last of those
    waited, at most 1000 of them; 0 when there are none."""

    waiting: int
    begun: int
    median: float
    p95: float


class Waits:
    """The last waits of each class. Not thread-safe."""

    def __init__(self) -> None:
        self._begun = dict.fromkeys(Priority, 0)
        self._last: dict[Priority, deque[float]] = {own: deque(maxlen=_REMEMBERED) for own in Priority}

    def note(self, priority: Priority, seconds: float) -> None:
        """A step of this class was begun after waiting so long."""
        self._begun[priority] += 1
        self._last[priority].append(seconds)

    def load(self, priority: Priority, waiting: int) -> Load:
        ordered = sorted(self._last[priority]) or [0.0]
        return Load(waiting, self._begun[priority], _rank(ordered, 0.5), _rank(ordered, 0.95))


def _rank(ordered: list[float], share: float) -> float:
    """The least value that at least ``share`` of all do not pass."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
