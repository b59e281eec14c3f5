"""Decoding a file made in code, in one call."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray

from scriba.audio.decode import DecodeLimits, Recording, open_recording


def decode(data: bytes, limits: DecodeLimits | None = None) -> NDArray[np.float32]:
    """All samples of a file, checked for what every block must be."""
    return decode_with_recording(data, limits)[0]


def decode_with_recording(
    data: bytes, limits: DecodeLimits | None = None
) -> tuple[NDArray[np.float32], Recording]:
    """The samples, and the recording they came from (closed by then)."""
    with open_recording(io.BytesIO(data), limits) as recording:
        blocks = list(recording.blocks())
    for block in blocks:
        assert block.dtype == np.float32
        assert block.ndim == 1
        assert len(block) <= 32_000
        assert np.isfinite(block).all()
    samples = np.concatenate(blocks)
    assert recording.seconds_decoded == len(samples) / 16_000
    return samples, recording
