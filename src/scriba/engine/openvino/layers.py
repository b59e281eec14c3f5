"""Layers of Whisper's transformer as OpenVINO nodes, on the weights of a CTranslate2 folder."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from openvino import opset13 as op

from scriba.engine.ct2_weights import Ct2Weights

Node = Any
"""An OpenVINO node or one of its outputs; the package carries no types for its operations."""

_EPSILON = 1e-5


class Layers:
    """Builds layers by the names of their weights."""

    def __init__(self, weights: Ct2Weights, *, int8: bool) -> None:
        """
        Args:
            weights: a Whisper model's tensors.
            int8: keep the linear layers' weights as int8 with a scale for each row, so that the CPU plugin
                may multiply in int8; otherwise they keep the precision they are stored in.
        """
        self._weights = weights
        self._int8 = int8

    def norm(self, x: Node, name: str) -> Node:
        normal = op.mvn(x, integers(2), True, _EPSILON, "inside_sqrt")
        gamma, beta = self.floats(f"{name}/gamma"), self.floats(f"{name}/beta")
        return op.add(op.multiply(normal, op.constant(gamma)), op.constant(beta))

    def linear(self, x: Node, name: str) -> Node:
        product = op.matmul(x, self.matrix(f"{name}/weight"), False, True)
        return op.add(product, op.constant(self.floats(f"{name}/bias")))

    def matrix(self, name: str) -> Node:
        """A linear layer's weights, shape ``(out, in)``."""
        if not self._int8:
            return self.stored(name)
        numbers, scale = self.quantised(name)
        return op.multiply(op.convert(op.constant(numbers), "f32"), op.constant(scale))

    def quantised(self, name: str) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
        """int8 with the row's largest weight at 127: for a model stored as int8, the stored numbers again.
        And what each row is to be multiplied by, shape ``(rows, 1)``."""
        weight = self.floats(name)
        scale = np.abs(weight).max(axis=1, keepdims=True) / np.float32(127)
        scale[scale == 0] = 1
        return np.rint(weight / scale).astype(np.int8), scale

    def stored(self, name: str) -> Node:
        """float16 stays float16 behind a conversion, which the plugin folds away; the rest as float32."""
        tensor = self._weights[name]
        if tensor.dtype == np.float16:
            return op.convert(op.constant(tensor), "f32")
        return op.constant(self.floats(name))

    def floats(self, name: str) -> NDArray[np.float32]:
        return self._weights.dequantised(name)


def integers(*values: int) -> Node:
    return op.constant(np.array(values, dtype=np.int64))


def split_heads(x: Node, heads: int, size: int) -> Node:
    """``(rows, length, heads * size)`` to ``(rows, heads, length, size)``."""
    return op.transpose(op.reshape(x, integers(0, 0, heads, size), True), integers(0, 2, 1, 3))


def join_heads(x: Node, width: int) -> Node:
    """The way back."""
    return op.reshape(op.transpose(x, integers(0, 2, 1, 3)), integers(0, 0, width), True)
