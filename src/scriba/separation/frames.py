"""Spectra of a stream in overlapping frames, and back to a stream of the same length."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from scriba.separation.port import Samples

Spectra = NDArray[np.complex64]
"""Shape (channels, frames, bins)."""


class FrameStream:
    """Passes a stream through ``change`` in frames of ``size`` samples that overlap by half.

    The window is the square root of a periodic Hann, before and after, so that unchanged spectra give the
    sound back exactly.

    Args:
        size: samples of a frame; even.
        channels: of the sound.
        at_once: frames given to ``change`` together, at most.
    """

    def __init__(self, size: int, channels: int, at_once: int, change: Callable[[Spectra], Spectra]) -> None:
        self._size, self._hop = size, size // 2
        self._window = np.sqrt(np.hanning(size + 1)[:size]).astype(np.float32)
        self._at_once = at_once
        self._change = change
        # The first frame reaches half of itself back before the sound.
        self._waiting = np.zeros((channels, self._hop), np.float32)
        self._tail = np.zeros((channels, self._hop), np.float32)
        self._lead = self._hop
        self._pushed = 0
        self._given = 0

    def push(self, block: Samples) -> Samples:
        """The changed sound that is complete, shape (channels, samples)."""
        self._pushed += block.shape[1]
        self._waiting = np.concatenate([self._waiting, block], axis=1)
        return self._take()

    def finish(self) -> Samples:
        """The rest; all that was given is then as long as all that was pushed."""
        self._waiting = np.pad(self._waiting, ((0, 0), (0, 2 * self._size)))
        last = self._take(self._pushed - self._given)
        self._waiting = self._waiting[:, :0]
        return last

    def _take(self, most: int | None = None) -> Samples:
        pieces = []
        while (count := (self._waiting.shape[1] - self._size) // self._hop + 1) > 0:
            count = min(count, self._at_once)
            pieces.append(self._pass(count))
            self._waiting = self._waiting[:, count * self._hop :]
        out = np.concatenate(pieces, axis=1) if pieces else self._tail[:, :0]
        skipped = min(self._lead, out.shape[1])
        self._lead -= skipped
        out = out[:, skipped:] if most is None else out[:, skipped : skipped + most]
        self._given += out.shape[1]
        return out

    def _pass(self, count: int) -> Samples:
        length = (count - 1) * self._hop + self._size
        frames = sliding_window_view(self._waiting[:, :length], self._size, axis=1)[:, :: self._hop]
        spectra = np.fft.rfft(frames * self._window, axis=2).astype(np.complex64)
        changed = np.fft.irfft(self._change(spectra), self._size, axis=2).astype(np.float32) * self._window
        first, second = changed[:, :, : self._hop], changed[:, :, self._hop :]
        before = np.concatenate([self._tail[:, None], second[:, :-1]], axis=1)
        self._tail = second[:, -1].copy()
        joined: Samples = (first + before).reshape(changed.shape[0], count * self._hop)
        return joined
