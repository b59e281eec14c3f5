"""Cutting a row of things into the fewest parts, and among those the most even ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

_SENTENCE_END = frozenset(".!?。！？…؟۔।॥｡။។")
_CLAUSE_END = frozenset(",;:、，；：،–—､၊")
CLAUSE_PENALTY = 0.1
_PHRASE_PENALTY = 0.25
_CLOSERS = "\"'”’»)]}」』）】〉》"


def break_penalty(text: str) -> float:
    """How bad it is to break after ``text``: best after a sentence, worst within a phrase."""
    last = text.rstrip(_CLOSERS)[-1:]
    if last in _SENTENCE_END:
        return 0.0
    return CLAUSE_PENALTY if last in _CLAUSE_END else _PHRASE_PENALTY


def partition(
    widths: Sequence[float], reach: Sequence[int], penalty: Callable[[int], float]
) -> list[tuple[int, int]]:
    """Half-open ranges that cover ``widths`` in order.

    Args:
        widths: size of each item.
        reach: for each item, the end of the longest part that may begin with it (at least its own index + 1);
            any shorter part may, too.
        penalty: cost of ending a part before this index, asked for inner ends only.

    The number of parts is the least possible; among such partitions the sum of squared deviations from the
    mean width, plus penalties, is least.
    """
    count = len(widths)
    parts = 0
    at = 0
    while at < count:
        at = reach[at]
        parts += 1
    if parts <= 1:
        return [(0, count)] if count else []
    before = [0.0]
    for width in widths:
        before.append(before[-1] + width)
    ideal = (before[-1] / parts) or 1.0
    best: list[tuple[int, float, int]] = [(parts + 1, math.inf, -1)] * (count + 1)
    best[0] = (0, 0.0, -1)
    ends = [penalty(end) for end in range(1, count)] + [0.0]
    for first in range(count):
        used, cost, _ = best[first]
        for end in range(first + 1, reach[first] + 1):
            uneven = ((before[end] - before[first]) / ideal - 1.0) ** 2
            best[end] = min(best[end], (used + 1, cost + uneven + ends[end - 1], first))
    ranges: list[tuple[int, int]] = []
    end = count
    while end > 0:
        first = best[end][2]
        ranges.append((first, end))
        end = first
    return ranges[::-1]
