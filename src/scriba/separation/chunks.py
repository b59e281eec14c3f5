"""Models that hear a stretch of fixed length: stretch by stretch, overlapping, faded into each other."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from scriba.separation.port import Samples


class ChunkStream:
    """Implements ``Separator`` on a function from one chunk to the voice in it, of the same shape.

    Each chunk overlaps the one before by ``overlap`` samples, over which the two are faded. The sound begins
    ``margin`` samples into the first chunk, and the outermost ``margin`` of every chunk is not believed: a
    model knows least at its edges.
    """

    def __init__(
        self, size: int, overlap: int, margin: int, channels: int, voice_of: Callable[[Samples], Samples]
    ) -> None:
        if size - 2 * margin <= overlap:
            raise ValueError("Nothing of a chunk is left between its margins and the overlap.")
        self._size, self._overlap, self._margin = size, overlap, margin
        self._inner = size - 2 * margin
        self._step = self._inner - overlap
        self._voice_of = voice_of
        self._fade = np.linspace(0, 1, overlap, dtype=np.float32) if overlap else np.zeros(0, np.float32)
        self._waiting = np.zeros((channels, margin), np.float32)
        self._tail: Samples | None = None
        self._pushed = 0
        self._given = 0

    def push(self, block: Samples) -> Samples:
        self._pushed += block.shape[1]
        self._waiting = np.concatenate([self._waiting, block], axis=1)
        return self._take()

    def finish(self) -> Samples:
        pieces = []
        while self._given < self._pushed:
            lacking = max(0, self._size - self._waiting.shape[1])
            self._waiting = np.pad(self._waiting, ((0, 0), (0, lacking)))
            pieces.append(self._take())
        if not pieces:
            return self._waiting[:, :0]
        return np.concatenate(pieces, axis=1)

    def _take(self) -> Samples:
        pieces = []
        while self._waiting.shape[1] >= self._size and self._given < self._pushed:
            piece = self._pass(self._waiting[:, : self._size])
            piece = piece[:, : self._pushed - self._given]
            self._given += piece.shape[1]
            pieces.append(piece)
            self._waiting = self._waiting[:, self._step :]
        return np.concatenate(pieces, axis=1) if pieces else self._waiting[:, :0]

    def _pass(self, chunk: Samples) -> Samples:
        voice = self._voice_of(np.ascontiguousarray(chunk))[:, self._margin : self._margin + self._inner]
        voice = voice.copy()
        if self._tail is not None:
            voice[:, : self._overlap] *= self._fade
            voice[:, : self._overlap] += self._tail * (1 - self._fade)
        self._tail = voice[:, self._step :].copy()
        return voice[:, : self._step]
