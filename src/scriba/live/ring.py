"""The audio of a stream that may still be needed, addressed by its sample in the session."""

from __future__ import annotations

from collections import deque

import numpy as np

from scriba.engine.port import Audio


class AudioRing:
    """Blocks of audio from ``start`` to ``end``; what lies before is gone."""

    def __init__(self, start: int = 0) -> None:
        self._blocks: deque[Audio] = deque()
        self.start = start
        self.end = start

    def append(self, block: Audio) -> None:
        self._blocks.append(block)
        self.end += len(block)

    def slice(self, start: int, end: int) -> Audio:
        """Samples ``start`` to ``end`` as a new array, as far as they are here."""
        parts: list[Audio] = []
        position = self.start
        for block in self._blocks:
            following = position + len(block)
            if position >= end:
                break
            if following > start:
                parts.append(block[max(0, start - position) : end - position])
            position = following
        return np.concatenate(parts) if parts else np.zeros(0, dtype=np.float32)

    def discard_before(self, sample: int) -> None:
        while self._blocks and self.start + len(self._blocks[0]) <= sample:
            self.start += len(self._blocks.popleft())
