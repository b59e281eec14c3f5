"""Whisper's encoder as an OpenVINO graph, built from the weights of a CTranslate2 folder.

Radford et al. 2022, section 2.2: two convolutions over the log-mel spectrogram, sinusoidal positions, then
pre-norm transformer blocks (self-attention, feed-forward) and a last normalisation. Imports openvino: only
``scriba.engine.openvino_encoder`` imports this, once it knows the package is there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset13 as op

from scriba.engine.ct2_weights import Ct2Weights

Node = Any
"""An OpenVINO node or one of its outputs; the package carries no types for its operations."""

_EPSILON = 1e-5


class EncoderGraph:
    """Builds the graph; the time axis stays open.

    Input: float32, shape ``(1, mel_bins, frames)``. Output: float32, shape ``(1, frames // 2, width)``.
    """

    def __init__(self, weights: Ct2Weights, *, int8: bool) -> None:
        """
        Args:
            weights: a Whisper model's tensors.
            int8: keep the linear layers' weights as int8 with a scale for each row, so that the CPU plugin
                may multiply in int8; otherwise they keep the precision they are stored in.

        Raises:
            KeyError: a tensor of Whisper's encoder is missing.
        """
        self._weights = weights
        self._int8 = int8
        first = weights["encoder/conv1/weight"]
        self.width: int = first.shape[0]
        self.mel_bins: int = first.shape[1]
        self.positions: int = weights["encoder/position_encodings/encodings"].shape[0]
        self._heads = int(weights["encoder/num_heads"])

    def model(self) -> ov.Model:
        """The whole encoder."""
        features = op.parameter([1, self.mel_bins, -1], np.float32, name="features")
        x = self._convolution(features, "conv1", stride=1)
        x = self._convolution(x, "conv2", stride=2)
        x = op.add(*self._with_positions(op.transpose(x, _integers(0, 2, 1))))
        for block in self._blocks():
            attention, forward = f"{block}/self_attention", f"{block}/ffn"
            x = op.add(x, self._attention(self._norm(x, f"{attention}/layer_norm"), attention))
            hidden = self._linear(self._norm(x, f"{forward}/layer_norm"), f"{forward}/linear_0")
            x = op.add(x, self._linear(op.gelu(hidden, "erf"), f"{forward}/linear_1"))
        return ov.Model([op.result(self._norm(x, "layer_norm"))], [features], "whisper_encoder")

    def _blocks(self) -> Iterator[str]:
        number = 0
        while f"encoder/layer_{number}/ffn/linear_0/weight" in self._weights:
            yield f"layer_{number}"
            number += 1

    def _convolution(self, x: Node, name: str, *, stride: int) -> Node:
        weight = self._stored(f"{name}/weight")
        bias = self._floats(f"{name}/bias")[np.newaxis, :, np.newaxis]
        y = op.convolution(x, weight, [stride], [1], [1], [1])
        return op.gelu(op.add(y, op.constant(bias)), "erf")

    def _with_positions(self, x: Node) -> tuple[Node, Node]:
        """The frames, and as many of the position encodings as there are frames."""
        count = op.gather(op.shape_of(x), _integers(1), op.constant(0))
        table = self._stored("position_encodings/encodings")
        cut = op.slice(table, _integers(0), count, _integers(1), _integers(0))
        return x, cut

    def _norm(self, x: Node, name: str) -> Node:
        normal = op.mvn(x, _integers(2), True, _EPSILON, "inside_sqrt")
        gamma, beta = self._floats(f"{name}/gamma"), self._floats(f"{name}/beta")
        return op.add(op.multiply(normal, op.constant(gamma)), op.constant(beta))

    def _attention(self, x: Node, name: str) -> Node:
        # One product gives queries, keys and values: CTranslate2 stores their weights one under the other.
        parts = op.split(self._linear(x, f"{name}/linear_0"), op.constant(2), 3).outputs()
        queries, keys, values = (self._split_heads(part) for part in parts)
        context = op.transpose(op.scaled_dot_product_attention(queries, keys, values), _integers(0, 2, 1, 3))
        return self._linear(op.reshape(context, _integers(0, 0, self.width), True), f"{name}/linear_1")

    def _split_heads(self, x: Node) -> Node:
        """``(1, positions, width)`` to ``(1, heads, positions, width / heads)``."""
        split = op.reshape(x, _integers(0, 0, self._heads, self.width // self._heads), True)
        return op.transpose(split, _integers(0, 2, 1, 3))

    def _linear(self, x: Node, name: str) -> Node:
        weight = self._quantised(f"{name}/weight") if self._int8 else self._stored(f"{name}/weight")
        return op.add(op.matmul(x, weight, False, True), op.constant(self._floats(f"{name}/bias")))

    def _quantised(self, name: str) -> Node:
        """int8 with the row's largest weight at 127: for a model stored as int8, the stored numbers again."""
        weight = self._floats(name)
        scale = np.abs(weight).max(axis=1, keepdims=True) / np.float32(127)
        scale[scale == 0] = 1
        numbers = np.rint(weight / scale).astype(np.int8)
        return op.multiply(op.convert(op.constant(numbers), "f32"), op.constant(scale))

    def _stored(self, name: str) -> Node:
        """float16 stays float16 behind a conversion, which the plugin folds away; the rest as float32."""
        tensor = self._weights[f"encoder/{name}"]
        if tensor.dtype == np.float16:
            return op.convert(op.constant(tensor), "f32")
        return op.constant(self._floats(name))

    def _floats(self, name: str) -> NDArray[np.float32]:
        return self._weights.dequantised(f"encoder/{name}")


def _integers(*values: int) -> Node:
    return op.constant(np.array(values, dtype=np.int64))
