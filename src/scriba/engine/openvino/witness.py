"""Attention taken while a text is written, so that its words need not be read again to be timed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scriba.engine.openvino.decoder import DecoderSession


@dataclass(frozen=True, slots=True)
class Witnessed:
    """What was seen while ``tokens`` were written, timestamps among them.

    ``attention`` is float16 of shape ``(heads, steps, positions)``: where the decoder looked when it wrote
    each token, and, one step more than there are tokens, when it ended. ``chances`` are the tokens'
    probabilities.
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
    """A reader (``engine.search.batch``) that notes the attention of windows with one row each."""

    def __init__(self, session: DecoderSession, heard: Sequence[int]) -> None:
        """
        Args:
            session: has read every window's prompt.
            heard: of each window, how many positions are of sound.
        """
        self._session = session
        self._heard = heard
        self._running = list(range(len(heard)))
        self._rows: list[list[NDArray[np.float16]]] = [[] for _ in heard]
        self._note()

    def read(self, tokens: NDArray[np.int64], parents: NDArray[np.int32]) -> NDArray[np.float32]:
        logits = self._session.read(tokens, parents)
        self._note()
        return logits

    def keep(self, windows: Sequence[int]) -> None:
        self._session.keep(windows)
        self._running = [self._running[place] for place in windows]

    def witnessed(self, window: int, tokens: Sequence[int], chances: Sequence[float]) -> Witnessed:
        """What was seen of a window whose text is written."""
        seen = np.stack(self._rows[window], axis=1)
        return Witnessed(tuple(tokens), seen, tuple(math.exp(chance) for chance in chances))

    def _note(self) -> None:
        told = self._session.attention
        for place, window in enumerate(self._running):
            self._rows[window].append(told[place, :, -1, : self._heard[window]].astype(np.float16))
