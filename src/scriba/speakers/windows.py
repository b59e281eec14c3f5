"""Sound that comes in blocks as windows that overlap."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from scriba.speakers.frames import WINDOW_SAMPLES

Audio = NDArray[np.float32]


def sliding(blocks: Iterable[Audio], hop: int) -> Iterator[tuple[int, Audio]]:
    """``(first sample, window)`` every ``hop`` samples; the last reaches the end and may be shorter.

    Holds one window and one block of 16 kHz mono sound at a time.
    """
    held = np.zeros(0, np.float32)
    start = 0
    covered = 0
    for block in blocks:
        held = np.concatenate([held, block])
        while len(held) >= WINDOW_SAMPLES:
            yield start, held[:WINDOW_SAMPLES].copy()
            covered = start + WINDOW_SAMPLES
            held = held[hop:]
            start += hop
    if start + len(held) > covered:
        yield start, held
