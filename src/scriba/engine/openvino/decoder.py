"""Whisper's decoder in OpenVINO: windows go in with their encodings, tokens are read, logits come out."""

from __future__ import annotations

import queue
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import structlog
from numpy.typing import NDArray

from scriba.domain.errors import EngineError
from scriba.engine.ct2_weights import Ct2Weights
from scriba.engine.openvino.encoding import Encoding
from scriba.engine.openvino.runtime import Half, Runtime, borrowed, request_pool
from scriba.engine.prompts import MAX_TOKENS
from scriba.engine.search.draft import padded

if TYPE_CHECKING:  # it needs openvino as soon as it is imported
    from scriba.engine.openvino.vocabulary import Projection

log = structlog.get_logger(__name__)

_NEVER = np.float32(-np.inf)
_MOST_PARAMETERS_TWICE = 60_000_000
"""Up to so many each session has weights of its own: a call of a graph with several streams changes threads,
which costs a step of tiny two fifths of its time. Weights take a byte each."""
_FIRST_OF_MEMORY = 6
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
        from scriba.engine.openvino.vocabulary import Vocabulary

        graph = DecoderGraph(weights, memory_type=runtime.half_name, alignment_heads=alignment_heads)
        self.vocabulary = len(graph.table[0])
        self._runtime = runtime
        self._shapes = (graph.blocks, graph.heads, graph.size)
        positions = weights["encoder/position_encodings/encodings"].shape[0]
        self.window_bytes: int = 2 * graph.blocks * positions * graph.width * runtime.half.itemsize
        own = graph.parameters <= _MOST_PARAMETERS_TWICE
        # Last in, first out: a slot that was never needed takes no memory.
        self._idle: queue.LifoQueue[_Slot] = queue.LifoQueue()
        vocabulary = Vocabulary(runtime, *graph.table)
        memory_graph, step_graph = graph.memory(), graph.step()
        for copies in [1] * streams if own else [streams]:
            projections = vocabulary.projections(copies, threads=threads)
            memory, step = (
                runtime.compile(part, threads=threads, streams=copies, lowered=True, int8=True)
                for part in (memory_graph, step_graph)
            )
            for projection in projections:
                self._idle.put(_Slot(memory.create_infer_request(), step.create_infer_request(), projection))
        every = runtime.compile(memory_graph, threads=threads * streams, streams=1, lowered=True, int8=True)
        self._every = request_pool(every, 1)

    @contextmanager
    def session(self, encodings: Sequence[Encoding], *, alone: bool = False) -> Iterator[DecoderSession]:
        """A decoder over these windows, with nothing read yet.

        Args:
            encodings: the encoder's output for each.
            alone: nothing else is computed: make their memory on all cores.

        Raises:
            EngineError: also from the session's methods: inference failed.
        """
        slot = self._idle.get()
        try:
            session = DecoderSession(self._runtime, slot, self._shapes, encodings)
            with borrowed(self._every) if alone else nullcontext(slot.memory) as memory:
                session.remember(memory, encodings)
            yield session
        except RuntimeError as error:
            log.error("decoder failed", windows=len(encodings), error=str(error))  # noqa: TRY400
            raise EngineError("The decoder failed.") from error
        finally:
            self._idle.put(slot)


class _Slot:
    """What one session at a time needs, kept for the next: requests, and room for its windows' memory."""

    def __init__(self, memory: Any, step: Any, projection: Projection) -> None:
        self.memory = memory
        self.step = step
        self.projection = projection
        self._room: Half = np.zeros(0, np.uint16)

    def room(self, size: int, kind: np.dtype[Any]) -> Half:
        if len(self._room) < size or self._room.dtype != kind:
            self._room = np.empty(0, kind)  # the old one goes before the new one comes
            self._room = np.empty(size, kind)
        return self._room[:size]


class DecoderSession:
    """Some windows and what has been read of their texts.

    Implements ``engine.search.batch.Reader`` and ``engine.search.draft.DraftReader``.
    """

    def __init__(
        self,
        runtime: Runtime,
        slot: _Slot,
        shapes: tuple[int, int, int],
        encodings: Sequence[Encoding],
    ) -> None:
        windows, positions = len(encodings), max(own.positions for own in encodings)
        self._runtime = runtime
        self._request = slot.step
        self._project = slot.projection
        self._length = 0
        self._hidden = np.zeros((windows, 0), dtype=bool)
        """Of each window, which of the tokens read are none of its text: later ones count as read."""
        blocks, heads, size = shapes
        each = windows * heads * size * positions
        room = slot.room(2 * blocks * each, runtime.half)
        self._memory = [
            room[place * each : (place + 1) * each].reshape(windows, heads, positions, size)
            for place in range(2 * blocks)
        ]
        self._weight = np.full((windows, 1, 1, positions), _NEVER)
        """What each position of the memory has more of attention than one."""
        for window, encoded in enumerate(encodings):
            self._weight[window, 0, 0, : encoded.positions] = encoded.weight
        self._request.reset_state()
        self._attach()

    def remember(self, request: Any, encodings: Sequence[Encoding]) -> None:
        """Make the memory of the windows: before anything is read."""
        positions = self._weight.shape[3]
        for window, encoded in enumerate(encodings):
            output = encoded.output
            if encoded.positions < positions:
                output = np.zeros((1, positions, output.shape[2]), output.dtype)
                output[:, : encoded.positions] = encoded.output
            request.set_input_tensor(self._runtime.tensor(output))
            for place, part in enumerate(self._memory):
                request.set_output_tensor(place, self._runtime.tensor(part[window : window + 1]))
            request.infer(share_outputs=True)

    @property
    def attention(self) -> NDArray[np.float32]:
        """Of the tokens read last, shape ``(windows, alignment heads, tokens, positions)``; each sums to 1
        over the positions. The session's own until it reads on."""
        told: NDArray[np.float32] = self._request.get_output_tensor(1).data
        return told

    def feed(
        self,
        tokens: NDArray[np.int64],
        places: Sequence[int] = (-1,),
        *,
        pads: Sequence[int] | None = None,
        wanted: Sequence[int] | None = None,
    ) -> list[NDArray[np.float32]]:
        """Read the same number of tokens for each window, which has one row yet.

        Args:
            tokens: shape ``(windows, length)``.
            places: behind which of the tokens logits are wanted.
            pads: how many of each row's first tokens are none; only in the first call.
            wanted: of each window, how many of the places are; all where it is not said.

        Returns:
            For each window float32 of shape ``(places, vocabulary)``, the session's own until it reads on.
        """
        rows, length = tokens.shape
        if pads is not None:
            self._hide(0, np.arange(length) < np.asarray(pads)[:, np.newaxis])
        hidden = self._read(tokens, np.arange(rows, dtype=np.int32), np.array(places) % length)
        return self._logits_of(hidden, wanted or [len(places)] * rows)

    def read(self, tokens: NDArray[np.int64], parents: NDArray[np.int32]) -> NDArray[np.float32]:
        return self._project(self._read(tokens[:, np.newaxis], parents, np.zeros(1, dtype=np.int64))[:, 0])

    def keep(self, windows: Sequence[int]) -> None:
        for place, window in enumerate(windows):
            if place != window:
                for part in self._memory:
                    part[place] = part[window]
                self._weight[place] = self._weight[window]
        self._memory = [part[: len(windows)] for part in self._memory]
        self._weight = self._weight[: len(windows)]
        self._hidden = self._hidden[list(windows)]
        self._attach()

    def read_on(self, rows: Sequence[Sequence[int]], windows: Sequence[int]) -> list[NDArray[np.float32]]:
        if len(windows) < len(self._hidden):
            self.keep(windows)
        tokens = padded(rows)
        hidden = self._read(tokens, np.array(windows, dtype=np.int32), np.arange(tokens.shape[1]))
        return self._logits_of(hidden, [len(row) for row in rows])

    def believe(self, counts: Sequence[int], read: int) -> None:
        if min(counts) == read:
            return
        self._hide(self._length - read, np.arange(read) >= np.asarray(counts)[:, np.newaxis])

    def _attach(self) -> None:
        self._request.set_input_tensor(_FIRST_OF_MEMORY - 1, self._runtime.tensor(self._weight))
        for place, part in enumerate(self._memory):
            self._request.set_input_tensor(_FIRST_OF_MEMORY + place, self._runtime.tensor(part))

    def _hide(self, begin: int, tokens: NDArray[np.bool_]) -> None:
        """Some of the tokens from the place ``begin`` on, shape ``(windows, length)``."""
        if tokens.any():
            known, end = self._hidden.shape[1], begin + tokens.shape[1]
            grown = np.zeros((len(tokens), max(known, end)), dtype=bool)
            grown[:, :known] = self._hidden
            grown[:, begin:end] |= tokens
            self._hidden = grown

    def _mask(self, length: int, hidden: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Nothing that comes later, and nothing hidden; what is hidden sees itself, lest it be a division
        by 0."""
        places = self._length + np.arange(length)
        columns = np.arange(self._length + length)
        out = (columns > places[:, np.newaxis])[np.newaxis]
        if length > 1:
            # A mask of one row for all is taken for the first window's alone where nothing was read before
            # (OpenVINO 2026.4): the others would see what comes later.
            out = np.repeat(out, len(hidden), axis=0)
        if hidden.size:
            own = np.zeros((len(hidden), len(columns)), dtype=bool)
            own[:, : hidden.shape[1]] = hidden
            out = out | (own[:, np.newaxis] & (columns != places[:, np.newaxis]))
        return np.where(out, _NEVER, np.float32(0))[:, np.newaxis]

    def _positions(self, length: int, hidden: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Of each row's next tokens: how many of its tokens come before."""
        before = self._length - hidden[:, : self._length].sum(axis=1, keepdims=True)
        counted = np.ones((len(hidden), length), dtype=np.int64)
        now = hidden[:, self._length :]
        counted[:, : now.shape[1]] -= now
        # Tokens that are read in vain may lie behind the last position there is.
        positions: NDArray[np.int64] = np.cumsum(counted, axis=1) + before - 1
        return positions.clip(0, MAX_TOKENS - 1)

    def _logits_of(self, hidden: NDArray[np.float32], counts: Sequence[int]) -> list[NDArray[np.float32]]:
        """Of each row's first places: the table of tokens is most of what a place costs."""
        flat = np.concatenate([row[:count] for row, count in zip(hidden, counts, strict=True)])
        return np.split(self._project(flat), np.cumsum(counts[:-1]))

    def _read(
        self,
        tokens: NDArray[np.int64],
        parents: NDArray[np.int32],
        places: NDArray[np.int64],
    ) -> NDArray[np.float32]:
        """Hidden states of the places, shape ``(rows, places, width)``."""
        rows, length = tokens.shape
        if length == 1 and not self._hidden.size:  # nearly always, and numpy's calls add up
            positions = np.full((rows, 1), min(self._length, MAX_TOKENS - 1), dtype=np.int64)
            mask = np.zeros((1, 1, 1, self._length + 1), dtype=np.float32)
        else:
            hidden = np.repeat(self._hidden, rows // len(self._hidden), axis=0)
            positions, mask = self._positions(length, hidden), self._mask(length, hidden)
        inputs = (tokens, positions, parents, mask, places)
        # Kept until the call is over: the tensors look at the arrays' own memory.
        arrays = [np.ascontiguousarray(array) for array in inputs]
        for place, array in enumerate(arrays):
            self._request.set_input_tensor(place, self._runtime.tensor(array))
        self._request.infer(share_outputs=True)
        self._length += length
        states: NDArray[np.float32] = self._request.get_output_tensor(0).data
        return states
