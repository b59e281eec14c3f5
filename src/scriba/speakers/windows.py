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


PAUSE_SECONDS = 1.0
"""A shorter pause of one speaker, with nobody else in it, does not end the turn."""


def hop_at(sample: int) -> int:
    """Samples from the window at ``sample`` to the next."""
    dense = sample < DENSE_SECONDS * SAMPLE_RATE
    return round((DENSE_HOP_SECONDS if dense else HOP_SECONDS) * SAMPLE_RATE)


def sliding(blocks: Iterable[Audio], hop: Callable[[int], int] = hop_at) -> Iterator[tuple[int, Audio]]:
    """``(first sample, window)`` every ``hop(first sample)`` samples; the last may be shorter.

    Blocks are 16 kHz sound of shape (samples,) or (channels, samples). One window and one block are held.
    """
    held: Audio | None = None
    start = 0
    covered = 0
    for block in blocks:
        held = block if held is None else np.concatenate([held, block], axis=-1)
        while held.shape[-1] >= WINDOW_SAMPLES:
            yield start, held[..., :WINDOW_SAMPLES].copy()
            covered = start + WINDOW_SAMPLES
            step = hop(start)
            held = held[..., step:]
            start += step
    if held is not None and start + held.shape[-1] > covered:
        yield start, held
