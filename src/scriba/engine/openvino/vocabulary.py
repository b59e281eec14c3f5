"""The decoder's last layer: hidden states in, a logit for every token out.

A graph of its own: behind the blocks, in one graph, OpenVINO 2026.4 takes three times as long for it, which
with small models was most of a step.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset13 as op

from scriba.engine.openvino.runtime import Runtime

_FEWEST_ROWS = 2
"""A product of one row takes longer than one of two."""


class Vocabulary:
    """One model's table of tokens. Thread-safe; its projections are not."""

    def __init__(self, runtime: Runtime, numbers: NDArray[np.int8], scales: NDArray[np.float32]) -> None:
        """
        Args:
            numbers: a row for each token, shape ``(tokens, width)``.
            scales: what each is to be multiplied by, shape ``(tokens, 1)``.
        """
        self._runtime = runtime
        hidden = op.parameter([-1, 1, numbers.shape[1]], ov.Type.f32, name="hidden")
        table = op.multiply(op.convert(op.constant(numbers), "f32"), op.constant(scales))
        logits = op.result(op.matmul(hidden, table, False, True))
        self._graph = ov.Model([logits], [hidden], "whisper_vocabulary")

    def projections(self, count: int, *, threads: int) -> list[Projection]:
        """So many that may be used at once, each on so many cores.

        Raises:
            EngineError: OpenVINO does not take the graph.
        """
        compiled = self._runtime.compile(self._graph, threads=threads, streams=count, lowered=True, int8=True)
        return [Projection(self._runtime, compiled.create_infer_request()) for _ in range(count)]


class Projection:
    """For one session at a time."""

    def __init__(self, runtime: Runtime, request: Any) -> None:
        self._runtime = runtime
        self._request = request

    def __call__(self, hidden: NDArray[np.float32]) -> NDArray[np.float32]:
        """
        Args:
            hidden: shape ``(rows, width)``.

        Returns:
            float32, shape ``(rows, tokens)``, this object's own until its next call.
        """
        # Kept until the call is over: the tensor looks at the array's own memory.
        array = np.ascontiguousarray(np.repeat(hidden, _FEWEST_ROWS, axis=0) if len(hidden) == 1 else hidden)
        self._request.set_input_tensor(self._runtime.tensor(array[:, np.newaxis]))
        self._request.infer(share_outputs=True)
        told: NDArray[np.float32] = self._request.get_output_tensor(0).data
        return told[: len(hidden), 0]
