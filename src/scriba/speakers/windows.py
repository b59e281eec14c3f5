"""Sound that comes in blocks as windows that overlap."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from scriba.domain.media import SAMPLE_RATE
from scriba.speakers.frames import WINDOW_SAMPLES

Audio = NDArray[np.float32]


HOP_SECONDS = 2.0
"""From window to window: each moment is heard five times."""
DENSE_HOP_SECONDS, DENSE_SECONDS = 1.0, 60.0
"""At first windows follow closer: a short recording has few voices to compare, and they decide more."""


def hop_at(sample: int) -> int:
    """Samples from the window at ``sample`` to the next."""
    dense = sample < DENSE_SECONDS * SAMPLE_RATE
    return round((DENSE_HOP_SECONDS if dense else HOP_SECONDS) * SAMPLE_RATE)


def sliding(blocks: Iterable[Audio], hop: Callable[[int], int] = hop_at) -> Iterator[tuple[int, Audio]]:
    """``(first sample, window)`` every ``hop(first sample)`` samples; the last may be shorter.

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
            step = hop(start)
            held = held[step:]
            start += step
    if start + len(held) > covered:
        yield start, held
