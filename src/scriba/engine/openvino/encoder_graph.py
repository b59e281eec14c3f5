"""Whisper's encoder as an OpenVINO graph, built from the weights of a CTranslate2 folder.

Radford et al. 2022, section 2.2: two convolutions over the log-mel spectrogram, sinusoidal positions, then
pre-norm transformer blocks (self-attention, feed-forward) and a last normalisation. Imports openvino: only
``scriba.engine.openvino.encoder`` imports this, once it knows the package is there.
"""

from __future__ import annotations

import numpy as np
import openvino as ov
from openvino import opset13 as op

from scriba.engine.ct2_weights import Ct2Weights
from scriba.engine.openvino.layers import Layers, Node, integers, join_heads, split_heads


class EncoderGraph:
    """Builds the graph; the time axis stays open.

    Input: float32, shape ``(1, mel_bins, frames)``. Output: shape ``(1, frames // 2, width)``.
    """

    def __init__(self, weights: Ct2Weights, *, int8: bool, output: str = "f32") -> None:
        """
        Args:
            weights: a Whisper model's tensors.
            int8: as in ``Layers``.
            output: the element type that the output is converted to.

        Raises:
            KeyError: a tensor of Whisper's encoder is missing.
        """
        self._layers = Layers(weights, int8=int8)
        self._output = output
        first = weights["encoder/conv1/weight"]
        self.width: int = first.shape[0]
        self.mel_bins: int = first.shape[1]
        self.positions: int = weights["encoder/position_encodings/encodings"].shape[0]
        self._heads = int(weights["encoder/num_heads"])
        self._blocks = weights.count_blocks("encoder")

    def model(self) -> ov.Model:
        """The whole encoder."""
        layers = self._layers
        features = op.parameter([1, self.mel_bins, -1], np.float32, name="features")
        x = self._convolution(features, "encoder/conv1", stride=1)
        x = self._convolution(x, "encoder/conv2", stride=2)
        x = self._with_positions(op.transpose(x, integers(0, 2, 1)))
        for number in range(self._blocks):
            block = f"encoder/layer_{number}"
            attention, forward = f"{block}/self_attention", f"{block}/ffn"
            x = op.add(x, self._attention(layers.norm(x, f"{attention}/layer_norm"), attention))
            hidden = layers.linear(layers.norm(x, f"{forward}/layer_norm"), f"{forward}/linear_0")
            x = op.add(x, layers.linear(op.gelu(hidden, "erf"), f"{forward}/linear_1"))
        x = layers.norm(x, "encoder/layer_norm")
        if self._output != "f32":
            x = op.convert(x, self._output)
        return ov.Model([op.result(x)], [features], "whisper_encoder")

    def _convolution(self, x: Node, name: str, *, stride: int) -> Node:
        weight = self._layers.stored(f"{name}/weight")
        bias = self._layers.floats(f"{name}/bias")[np.newaxis, :, np.newaxis]
        y = op.convolution(x, weight, [stride], [1], [1], [1])
        return op.gelu(op.add(y, op.constant(bias)), "erf")

    def _with_positions(self, x: Node) -> Node:
        """The frames with as many of the position encodings as there are frames."""
        count = op.gather(op.shape_of(x), integers(1), op.constant(0))
        table = self._layers.stored("encoder/position_encodings/encodings")
        return op.add(x, op.slice(table, integers(0), count, integers(1), integers(0)))

    def _attention(self, x: Node, name: str) -> Node:
        # One product gives queries, keys and values: CTranslate2 stores their weights one under the other.
        parts = op.split(self._layers.linear(x, f"{name}/linear_0"), op.constant(2), 3).outputs()
        queries, keys, values = (split_heads(part, self._heads, self.width // self._heads) for part in parts)
        context = join_heads(op.scaled_dot_product_attention(queries, keys, values), self.width)
        return self._layers.linear(context, f"{name}/linear_1")
