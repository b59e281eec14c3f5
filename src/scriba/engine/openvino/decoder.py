"""Whisper's decoder in OpenVINO: windows go in with their encodings, tokens are read, logits come out."""

from __future__ import annotations

import queue
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import structlog
from numpy.typing import NDArray

from scriba.domain.errors import EngineError
from scriba.engine.ct2_weights import Ct2Weights
from scriba.engine.openvino.runtime import Runtime

log = structlog.get_logger(__name__)

Half = NDArray[np.uint16] | NDArray[np.float32]
"""Numbers as they pass between graphs (``Runtime.half``)."""

_NEVER = np.float32(-np.inf)
_FIRST_OF_MEMORY = 5
"""The step graph's inputs before the memory."""


class OpenVinoDecoder:
    """The decoder of one model. Thread-safe: ``streams`` sessions run at once, more wait."""

    def __init__(
        self,
        runtime: Runtime,
        weights: Ct2Weights,
        *,
        threads: int,
        streams: int,
        alignment_heads: Sequence[tuple[int, int]],
    ) -> None:
        """
        Args:
            threads: cores for each session.
            alignment_heads: (block, head) of the attention that sessions tell.

        Raises:
            KeyError: a tensor of Whisper's decoder is missing.
            EngineError: OpenVINO does not take the graph.
        """
        from scriba.engine.openvino.decoder_graph import DecoderGraph

        graph = DecoderGraph(
            weights, int8=True, memory_type=runtime.half_name, alignment_heads=alignment_heads
        )
        self.vocabulary = graph.vocabulary
        self._runtime = runtime
        self._shapes = (graph.blocks, graph.heads, graph.size)
        positions = weights["encoder/position_encodings/encodings"].shape[0]
        self.window_bytes: int = 2 * graph.blocks * positions * graph.width * runtime.half.itemsize
        memory, step = (
            runtime.compile(part, threads=threads, streams=streams, lowered=True, int8=True)
            for part in (graph.memory(), graph.step())
        )
        # Last in, first out: a slot that was never needed takes no memory.
        self._idle: queue.LifoQueue[_Slot] = queue.LifoQueue()
        for _ in range(streams):
            self._idle.put(_Slot(memory.create_infer_request(), step.create_infer_request()))

    @contextmanager
    def session(self, encodings: Sequence[Half]) -> Iterator[DecoderSession]:
        """A decoder over these windows, with nothing read yet.

        Args:
            encodings: the encoder's output for each, shape ``(1, positions, width)``, all of one length.

        Raises:
            EngineError: also from the session's methods: inference failed.
        """
        slot = self._idle.get()
        try:
            yield DecoderSession(self._runtime, slot, self._shapes, encodings)
        except RuntimeError as error:
            log.error("decoder failed", windows=len(encodings), error=str(error))  # noqa: TRY400
            raise EngineError("The decoder failed.") from error
        finally:
            self._idle.put(slot)


class _Slot:
    """What one session at a time needs, kept for the next: requests, and room for its windows' memory."""

    def __init__(self, memory: Any, step: Any) -> None:
        self.memory = memory
        self.step = step
        self._room: Half = np.zeros(0, np.uint16)

    def room(self, size: int, kind: np.dtype[Any]) -> Half:
        if len(self._room) < size or self._room.dtype != kind:
            self._room = np.empty(0, kind)  # the old one goes before the new one comes
            self._room = np.empty(size, kind)
        return self._room[:size]


class DecoderSession:
    """Some windows and what has been read of their texts. Implements ``engine.search.batch.Reader``."""

    def __init__(
        self, runtime: Runtime, slot: _Slot, shapes: tuple[int, int, int], encodings: Sequence[Half]
    ) -> None:
        self._runtime = runtime
        self._request = slot.step
        self._length = 0
        self._pads = np.zeros(len(encodings), dtype=np.int64)
        blocks, heads, size = shapes
        windows, positions = len(encodings), encodings[0].shape[1]
        each = windows * heads * size * positions
        room = slot.room(2 * blocks * each, runtime.half)
        self._memory = [
            room[place * each : (place + 1) * each].reshape(windows, heads, positions, size)
            for place in range(2 * blocks)
        ]
        for window, encoded in enumerate(encodings):
            slot.memory.set_input_tensor(runtime.tensor(encoded))
            for place, part in enumerate(self._memory):
                slot.memory.set_output_tensor(place, runtime.tensor(part[window : window + 1]))
            slot.memory.infer(share_outputs=True)
        self._request.reset_state()
        self._attach()

    @property
    def attention(self) -> NDArray[np.float32]:
        """Of the tokens read last, shape ``(windows, alignment heads, tokens, positions)``; each sums to 1
        over the positions. The session's own until it reads on."""
        told: NDArray[np.float32] = self._request.get_output_tensor(1).data
        return told

    def feed(
        self, tokens: NDArray[np.int64], *, pads: Sequence[int] | None = None, every: bool = False
    ) -> NDArray[np.float32]:
        """Read the same number of tokens for each window, which has one row yet.

        Args:
            tokens: shape ``(windows, length)``.
            pads: how many of each row's first tokens are none; only in the first call.
            every: logits behind every token, not only the last.

        Returns:
            float32, shape ``(windows, length or 1, vocabulary)``, the session's own until it reads on.
        """
        if pads is not None:
            self._pads = np.asarray(pads, dtype=np.int64)
        length = tokens.shape[1]
        places = np.arange(length) if every else np.array([length - 1])
        return self._infer(tokens, np.arange(len(tokens), dtype=np.int32), places)

    def read(self, tokens: NDArray[np.int64], parents: NDArray[np.int32]) -> NDArray[np.float32]:
        return self._infer(tokens[:, np.newaxis], parents, np.zeros(1, dtype=np.int64))[:, 0]

    def keep(self, windows: Sequence[int]) -> None:
        for place, window in enumerate(windows):
            if place != window:
                for part in self._memory:
                    part[place] = part[window]
        self._memory = [part[: len(windows)] for part in self._memory]
        self._pads = self._pads[list(windows)]
        self._attach()

    def _attach(self) -> None:
        for place, part in enumerate(self._memory):
            self._request.set_input_tensor(_FIRST_OF_MEMORY + place, self._runtime.tensor(part))

    def _mask(self, length: int, pads: NDArray[np.int64]) -> NDArray[np.float32]:
        """Nothing that comes later, and no padding; padding sees itself, lest it be a division by 0."""
        places = self._length + np.arange(length)
        columns = np.arange(self._length + length)
        hidden = columns > places[:, np.newaxis]
        if pads.any():
            padding = columns < pads[:, np.newaxis, np.newaxis]
            hidden = hidden | (padding & (columns != places[:, np.newaxis]))
        else:
            hidden = hidden[np.newaxis]
        return np.where(hidden, _NEVER, np.float32(0))[:, np.newaxis]

    def _infer(
        self,
        tokens: NDArray[np.int64],
        parents: NDArray[np.int32],
        places: NDArray[np.int64],
    ) -> NDArray[np.float32]:
        rows, length = tokens.shape
        pads = np.repeat(self._pads, rows // len(self._pads))
        positions = np.maximum(self._length + np.arange(length) - pads[:, np.newaxis], 0)
        inputs = (tokens, positions, parents, self._mask(length, pads), places)
        # Kept until the call is over: the tensors look at the arrays' own memory.
        arrays = [np.ascontiguousarray(array) for array in inputs]
        for place, array in enumerate(arrays):
            self._request.set_input_tensor(place, self._runtime.tensor(array))
        self._request.infer(share_outputs=True)
        self._length += length
        logits: NDArray[np.float32] = self._request.get_output_tensor(0).data
        return logits
