"""Many channels to one, such that no voice is lost, nothing clips and nothing cancels.

A plain average fails three ways on real files: a stereo file with one dead channel loses 6 dB (an eight-track
one with one microphone 18 dB); a stereo file whose second channel is wired in anti-phase vanishes; and a film
mix buries the centre, where the dialogue is. So: channels that carry no sound do not count; a second channel
that mirrors the first is turned over; in a layout with a centre the centre weighs more, the others as in
ITU-R BS.775 (-3 dB left and right, -6 dB the rest, LFE too, because track files are often labelled 5.1).
The weights sum to one, so the result cannot be louder than the loudest channel.
"""

from __future__ import annotations

import numpy as np
from av.audio.layout import AudioLayout
from numpy.typing import NDArray

DEAD_BELOW = 0.01
"""A channel whose loudest block stays under this share (-40 dB) of the loudest channel's carries no sound."""
MIRRORED_BELOW = -0.9
"""Correlation of left and right under which the right channel is taken for wired in anti-phase."""
RAMP_SECONDS = 0.02


def layout_weights(layout: AudioLayout) -> NDArray[np.float32]:
    """How much each channel counts, shape (channels,)."""
    names = [channel.name for channel in layout.channels]
    if len(names) < 3 or "FC" not in names:
        return np.ones(max(1, layout.nb_channels), np.float32)
    shares = {"FC": 1.0, "FL": 0.7071, "FR": 0.7071}
    return np.array([shares.get(name, 0.5) for name in names], np.float32)


class Downmixer:
    """Mixes the blocks of one recording; what it learns of the channels carries over from block to block."""

    def __init__(self, weights: NDArray[np.float32], rate: int) -> None:
        self._base = weights
        self._rate = rate
        self._loudest = np.zeros(len(weights), np.float64)
        self._sign = 1.0
        self._current: NDArray[np.float32] | None = None

    def mix(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        """One block, float32 of shape (channels, samples), to shape (samples,)."""
        if len(self._base) == 1:
            only: NDArray[np.float32] = block[0]
            return only
        weights = self._weights(block)
        previous, self._current = self._current, weights
        mixed: NDArray[np.float32] = np.asarray(weights @ block, np.float32)
        if previous is not None and not np.array_equal(previous, weights):
            # A step in gain is a click, and a click is a consonant to a recogniser: fade over instead.
            length = min(block.shape[1], int(self._rate * RAMP_SECONDS))
            ramp = np.linspace(0, 1, length, dtype=np.float32)
            mixed[:length] = ramp * mixed[:length] + (1 - ramp) * (previous @ block[:, :length])
        return mixed

    def _weights(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        power = np.array([np.dot(channel, channel) for channel in block], np.float64) / max(1, block.shape[1])
        self._loudest = np.maximum(self._loudest, np.sqrt(power))
        top = self._loudest.max()
        sounding = self._loudest >= DEAD_BELOW * top if top > 0 else np.ones(len(self._base), bool)
        weights = np.where(sounding, self._base, 0).astype(np.float32)
        weights /= weights.sum()
        if len(weights) == 2 and power.min() > 0:
            correlation = float(np.dot(block[0], block[1])) / (
                block.shape[1] * float(np.sqrt(power[0] * power[1]))
            )
            if correlation < MIRRORED_BELOW:
                self._sign = -1.0
            elif correlation > 0:
                self._sign = 1.0
        if self._sign < 0:
            weights[1] = -weights[1]
        return weights
