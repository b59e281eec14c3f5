"""Encodings of silence, kept to stand behind those of short sounds (``engine.context``)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scriba.engine.context import FULL_FRAMES
from scriba.engine.features import Features

Encoding = NDArray[Any]
"""Shape ``(1, positions, width)``, of the number type that the engine keeps encodings in."""

_LOWEST, _HIGHEST = -1.5, -0.3
"""A spectrogram's silence lies 8 below its loudest, in units of 4 decades: for speech between these."""


class CachedSilence:
    """Silence of several levels, each encoded when it is first needed. Thread-safe: at worst, twice."""

    def __init__(self, encode: Callable[[NDArray[np.float32]], Encoding], mel_bins: int) -> None:
        """
        Args:
            encode: log-mel spectrogram, shape ``(mel_bins, 3000)``, to its encoding.
        """
        self._encode = encode
        self._mel_bins = mel_bins
        self._known: dict[int, Encoding] = {}

    def behind(self, output: Encoding, features: Features) -> Encoding:
        """The encoding of the sound with that of silence behind it, ``features.positions`` in all."""
        silence = self.tail(output.shape[1], features)
        return np.concatenate((output, silence), axis=1) if silence is not None else output

    def tail(self, done: int, features: Features) -> Encoding | None:
        """The silence alone, behind ``done`` positions; None when there is none."""
        if done >= features.positions:
            return None
        return self._of(features.silence)[:, done : features.positions]

    def _of(self, level: float) -> Encoding:
        tenths = round(10 * min(max(level, _LOWEST), _HIGHEST))
        known = self._known.get(tenths)
        if known is None:
            level = tenths / 10
            known = self._encode(np.full((self._mel_bins, FULL_FRAMES), level, dtype=np.float32))
            self._known[tenths] = known
        return known
