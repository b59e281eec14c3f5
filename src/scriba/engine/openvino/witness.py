"""Attention taken while a text is written, so that its words need not be read again to be timed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scriba.engine.openvino.decoder import DecoderSession

_SCALE = np.float32(4096)
"""Attention is mostly below the least normal number of float16: such take ten times as long to convert."""


@dataclass(frozen=True, slots=True)
class Witnessed:
    """What was seen while ``tokens`` were written, timestamps among them.

    ``attention`` is float16 of shape ``(heads, steps, positions)``, times a number: where the decoder looked
    when it wrote each token, and, one step more than there are tokens, when it ended. ``chances`` are the
    tokens' probabilities.
    """

    tokens: tuple[int, ...]
    attention: NDArray[np.float16]
    chances: tuple[float, ...]

    def of_text(self, text: Sequence[int], end: int) -> tuple[NDArray[np.float32], list[float]] | None:
        """Attention of these text tokens and of the step behind them, each row summing to 1, and their
        probabilities; None when the text is not the one that was written, or nothing was seen behind it.

        Args:
            end: the end token; text tokens are below it.
        """
        places = [place for place, token in enumerate(self.tokens) if token < end][: len(text)]
        if not places or [self.tokens[place] for place in places] != list(text):
            return None
        behind = places[-1] + 1
        if behind >= self.attention.shape[1]:
            return None
        chosen = self.attention[:, [*places, behind]].astype(np.float32)
        summed = np.maximum(chosen.sum(axis=2, keepdims=True), 1e-9)
        return chosen / summed, [self.chances[place] for place in places]


class Witness:
    """A reader (``engine.search.draft``) that notes where each token's attention was."""

    def __init__(self, session: DecoderSession, heard: Sequence[int]) -> None:
        """
        Args:
            heard: of each window, how many positions are of sound.
        """
        self._session = session
        self._heard = heard
        self._running = list(range(len(heard)))
        self._rows: list[list[NDArray[np.float32]]] = [[] for _ in heard]

    def believe(self, counts: Sequence[int], read: int) -> None:
        told = self._session.attention[:, :, -read:]
        for place, window in enumerate(self._running):
            self._rows[window].append(told[place, :, : counts[place], : self._heard[window]].copy())
        self._session.believe(counts, read)

    def read_on(self, rows: Sequence[Sequence[int]], windows: Sequence[int]) -> list[NDArray[np.float32]]:
        self._running = [self._running[place] for place in windows]
        return self._session.read_on(rows, windows)

    def witnessed(self, window: int, tokens: Sequence[int], chances: Sequence[float]) -> Witnessed:
        """What was seen of a window whose text is written."""
        seen = (np.concatenate(self._rows[window], axis=1) * _SCALE).astype(np.float16)
        return Witnessed(tuple(tokens), seen, tuple(math.exp(chance) for chance in chances))
