"""What the decoder attends to of a window: the encoder's output, cached silence behind it put together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scriba.engine.openvino.runtime import Half

POOL = 16
"""Positions of silence that become one: their mean, with the attention of so many (docs/context.md)."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """``output`` has the shape ``(1, positions, width)``; ``weight``, shape ``(positions,)``, is the
    logarithm of how many positions each stands for."""

    output: Half
    weight: NDArray[np.float32]

    @property
    def positions(self) -> int:
        return len(self.weight)

    @classmethod
    def of(cls, sound: Half, silence: Half | None) -> Encoding:
        """
        Args:
            sound: the encoder's output, shape ``(1, positions, width)``.
            silence: what comes behind it, of the same shape but for the positions, or nothing.
        """
        if silence is None:
            return cls(sound, np.zeros(sound.shape[1], np.float32))
        starts = np.arange(0, silence.shape[1], POOL)
        counts = np.minimum(POOL, silence.shape[1] - starts)
        means = np.add.reduceat(_widened(silence[0]), starts, axis=0) / counts[:, np.newaxis]
        pooled: Any = _narrowed(means) if sound.dtype == np.uint16 else means.astype(np.float32)
        output = np.concatenate((sound, pooled[np.newaxis]), axis=1)
        weight = np.zeros(output.shape[1], np.float32)
        weight[sound.shape[1] :] = np.log(counts)
        return cls(output, weight)


def _widened(numbers: NDArray[Any]) -> NDArray[np.float32]:
    """As float32; two-byte numbers are bfloat16, the upper half of one."""
    if numbers.dtype == np.float32:
        return numbers
    return (numbers.astype(np.uint32) << 16).view(np.float32)


def _narrowed(numbers: NDArray[Any]) -> NDArray[np.uint16]:
    """As bfloat16: the nearest, of two as near the even one."""
    bits = np.ascontiguousarray(numbers, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
