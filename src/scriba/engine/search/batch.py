"""Driving the searches of several windows over one decoder, step by step."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from scriba.engine.search.hypotheses import Next, Search


class Reader(Protocol):
    """A decoder that has read each window's prompt, and reads on."""

    def read(self, tokens: NDArray[np.int64], parents: NDArray[np.int32]) -> NDArray[np.float32]:
        """One token for each row.

        Args:
            tokens: shape ``(rows,)``; every window has the same number of rows, one window after the other.
            parents: the row of the last call that each row continues.

        Returns:
            The next token's logits, shape ``(rows, vocabulary)``; the reader's own until its next call.
        """
        ...

    def keep(self, windows: Sequence[int]) -> None:
        """Only the windows at these places take part from the next call on, in this order.

        ``parents`` still count rows as they were in the last call.
        """
        ...


def search_all(reader: Reader, first: NDArray[np.float32], searches: Sequence[Search]) -> None:
    """Run the searches to their ends. All have the same width.

    Args:
        first: the logits behind each window's prompt, shape ``(windows, vocabulary)``.
    """
    running = list(range(len(searches)))
    logits, rows = first, 1
    while running:
        chosen: dict[int, Next] = {}
        for place, window in enumerate(running):
            following = searches[window].advance(logits[place * rows : (place + 1) * rows])
            if following is not None:
                chosen[place] = following
        if not chosen:
            return
        places = closed_up(chosen, len(running))
        if len(places) < len(running):
            reader.keep(places)
        tokens = [token for place in places for token in chosen[place].tokens]
        parents = [place * rows + parent for place in places for parent in chosen[place].parents]
        running = [running[place] for place in places]
        rows = searches[running[0]].width
        logits = reader.read(np.array(tokens, dtype=np.int64), np.array(parents, dtype=np.int32))


def closed_up(left: Collection[int], count: int) -> list[int]:
    """The places that are left, the last moved into the gaps: what lies at a place is large to move."""
    if len(left) == count:
        return list(range(count))
    spare = [place for place in left if place >= len(left)]
    return [place if place in left else spare.pop() for place in range(len(left))]
