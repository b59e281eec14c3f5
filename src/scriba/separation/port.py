"""What a separator is: sound in, the voice in it out, piece by piece."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
"""Float32 of shape (channels, samples), full scale at 1."""


class Separator(Protocol):
    """One recording on its way through a model. Memory does not grow with its length.

    The voice comes later than the sound it is in, and is in the end exactly as long. What is not voice is the
    sound less the voice.
    """

    def push(self, block: Samples) -> Samples:
        """More sound; the voice that is known by now, shape (channels, samples), from where the last ended.

        Raises:
            EngineError: inference failed.
        """
        ...

    def finish(self) -> Samples:
        """The rest of the voice, when all the sound has been pushed."""
        ...
