"""Where a new hearing goes on behind the words that are settled.

The decoder is not told what was settled: told so it would have to go on from its own mistakes. So the hearing
begins at the window's start again, and the place in it that stands behind the last settled word is found by
the cheapest alignment of the two: words that differ cost one, and so does a place at another time.
"""

from __future__ import annotations

from collections.abc import Sequence

from scriba.engine.port import AlignedWord
from scriba.transcribe.text import normalise

_SECONDS_A_WORD = 0.4
"""Seconds off that weigh as much as a wrong word."""
_OVERLAP = 0.6
"""Seconds by which a word may lie within what is settled: times of two hearings differ by so much."""


def behind(words: Sequence[AlignedWord], settled: Sequence[AlignedWord]) -> int:
    """Index of the first of ``words`` that is not among the settled ones. Times of both have one origin."""
    if not settled:
        return 0
    heard = [normalise(word.text) for word in words]
    costs = [float(index) for index in range(len(words) + 1)]
    for row, word in enumerate(settled, 1):
        text = normalise(word.text)
        previous, costs = costs, [float(row)]
        for column, own in enumerate(heard, 1):
            differs = 0.0 if own == text else 1.0
            costs.append(min(previous[column - 1] + differs, previous[column] + 1.0, costs[column - 1] + 1.0))
    end = settled[-1].end

    def cost(cut: int) -> float:
        place = words[cut - 1].end if cut else min(end, words[0].start) if words else end
        return costs[cut] + abs(place - end) / _SECONDS_A_WORD

    # Among equals the later: a word must not be said twice.
    cut = min(range(len(words), -1, -1), key=cost)
    # A hearing that lost its way may have nothing but what was said long ago.
    while cut < len(words) and words[cut].end < end - _OVERLAP:
        cut += 1
    return cut
