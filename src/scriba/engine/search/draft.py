"""Greedy search over windows whose text is nearly known: it is read at once and checked, not written anew.

A live stream hears the same sound again and again, with a little more of it each time. What the hearing
before wrote is the draft: some of its tokens are read in one pass, and each is kept as long as the search
would have chosen it (Leviathan et al. 2022, "Fast inference from transformers via speculative decoding", for
temperature 0). The text is the one that comes without a draft, in a fraction of the passes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from scriba.engine.search.batch import closed_up
from scriba.engine.search.hypotheses import Greedy

_AT_ONCE = 16
"""Tokens of a draft that are read in one pass."""
_AHEAD = 6
"""Tokens that a draft may have too many in one place."""


class DraftReader(Protocol):
    """A decoder that has read each window's prompt and some of its draft, and reads on."""

    def believe(self, counts: Sequence[int], read: int) -> None:
        """Of the last ``read`` tokens of each row, so many, 1 or more, are part of its text; what followed
        them never was."""
        ...

    def read_on(self, rows: Sequence[Sequence[int]], windows: Sequence[int]) -> Sequence[NDArray[np.float32]]:
        """
        Args:
            rows: tokens of each window, not equally many: all count as read as often as the longest has.
            windows: the places in the last call of the windows that take part, in the order of their rows.

        Returns:
            For each row the logits behind its tokens, ``(tokens, vocabulary)``; the reader's own until its
            next call.
        """
        ...


class Draft:
    """What a window's text is expected to be."""

    def __init__(self, tokens: Sequence[int], first_timestamp: int) -> None:
        self._tokens = list(tokens)
        self._first_timestamp = first_timestamp
        self._at = 0
        self._lost = False

    def heed(self, token: int) -> None:
        """The text goes on with this token."""
        ahead = self._tokens[self._at : self._at + _AHEAD]
        if token in ahead:
            self._at += ahead.index(token) + 1
            self._lost = False
        elif token < self._first_timestamp:  # a time may come in between, or be another
            self._lost = True

    def next(self) -> list[int]:
        """What seems to follow; empty while the text goes another way."""
        return [] if self._lost else self._tokens[self._at : self._at + _AT_ONCE - 1]


def padded(rows: Sequence[Sequence[int]]) -> NDArray[np.int64]:
    """One array of rows of unlike lengths. What fills them up is read in vain."""
    longest = max(len(row) for row in rows)
    return np.array([[*row, *[0] * (longest - len(row))] for row in rows], dtype=np.int64)


def search_greedily(
    reader: DraftReader,
    first: Sequence[NDArray[np.float32]],
    asked: Sequence[Sequence[int]],
    searches: Sequence[Greedy],
    drafts: Sequence[Draft],
) -> None:
    """Run the searches to their ends.

    Args:
        first: the logits behind each window's prompt and the draft's tokens that were read with it, each of
            shape ``(tokens, vocabulary)``.
        asked: those tokens of each window.
    """
    running = list(range(len(searches)))
    logits = first
    read = 1 + max(len(tokens) for tokens in asked)
    while True:
        believed: list[int] = []
        following: dict[int, list[int]] = {}
        for place, window in enumerate(running):
            count, token = _follow(searches[window], drafts[window], logits[place], asked[place])
            believed.append(count)
            if token is not None:
                following[place] = [token, *drafts[window].next()]
        reader.believe(believed, read)
        if not following:
            return
        places = closed_up(following, len(running))
        running = [running[place] for place in places]
        rows = [following[place] for place in places]
        asked = [row[1:] for row in rows]
        read = max(len(row) for row in rows)
        logits = reader.read_on(rows, places)


def _follow(
    search: Greedy, draft: Draft, logits: NDArray[np.float32], asked: Sequence[int]
) -> tuple[int, int | None]:
    """How many of the logits were of use, and the token that follows; None when the search has ended."""
    for place in range(len(asked) + 1):
        following = search.advance(logits[place : place + 1])
        if following is None:
            return place + 1, None
        [token] = following.tokens
        draft.heed(token)
        if place == len(asked) or token != asked[place]:
            break
    return place + 1, token
