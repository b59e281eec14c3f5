"""The network of CAM++ as an ONNX graph, from its weights.

CAM++ (Wang 2023, "CAM++: a fast and efficient network for speaker verification using context-aware
masking"): a small two-dimensional convolutional head, three densely connected blocks of time-delay layers
whose output is masked by what is heard around it, and statistics over time.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from scriba.models.convert.onnx_graph import GraphBuilder
from scriba.models.convert.state import Array, ConversionError

MEL_BINS = 80
DIMENSIONS = 192
_BLOCKS = ((12, 1), (24, 2), (16, 2))
"""Layers and dilation of each block."""
_CONTEXT = 100
"""Frames whose mean masks them."""
_EPSILON = 1e-5


def write_campplus(weights: Mapping[str, Array], path: Path) -> None:
    """Write the graph: ``features`` (batch, frames of 10 ms, 80) to ``embedding`` (batch, 192).

    Args:
        weights: by the names of 3D-Speaker's state dict.

    Raises:
        ConversionError: weights are missing, or of another network.
    """
    try:
        _Builder(weights).build().write(path)
    except (KeyError, ValueError, IndexError) as error:
        raise ConversionError("The weights are not those of CAM++.") from error


class _Builder:
    def __init__(self, weights: Mapping[str, Array]) -> None:
        self._weights = weights
        self._graph = GraphBuilder("campplus")

    def build(self) -> GraphBuilder:
        graph = self._graph
        x = graph.input("features", ("batch", "frames", MEL_BINS))
        x = graph.add("Unsqueeze", graph.add("Transpose", x, perm=[0, 2, 1]), graph.integers([1]))
        x = self._head(x)
        x = graph.add("Reshape", x, graph.integers([0, -1, self._channels("head.conv2") * MEL_BINS // 8]))
        x = self._xvector(x)
        graph.output(x, "embedding", ("batch", DIMENSIONS))
        return graph

    def _head(self, x: str) -> str:
        x = self._relu(self._conv(x, "head.conv1", "head.bn1", pads=[1, 1, 1, 1]))
        for layer in ("head.layer1", "head.layer2"):
            for index, stride in ((0, 2), (1, 1)):
                x = self._residual(x, f"{layer}.{index}", stride)
        x = self._relu(self._conv(x, "head.conv2", "head.bn2", pads=[1, 1, 1, 1], strides=[2, 1]))
        # (batch, channels, mel, frames) to (batch, channels x mel, frames), by way of frames last
        return self._graph.add("Transpose", x, perm=[0, 3, 1, 2])

    def _residual(self, x: str, name: str, stride: int) -> str:
        y = self._conv(x, f"{name}.conv1", f"{name}.bn1", pads=[1, 1, 1, 1], strides=[stride, 1])
        y = self._conv(self._relu(y), f"{name}.conv2", f"{name}.bn2", pads=[1, 1, 1, 1])
        if f"{name}.shortcut.0.weight" in self._weights:
            x = self._conv(x, f"{name}.shortcut.0", f"{name}.shortcut.1", strides=[stride, 1])
        return self._relu(self._graph.add("Add", y, x))

    def _xvector(self, x: str) -> str:
        graph = self._graph
        x = graph.add("Transpose", x, perm=[0, 2, 1])  # batch, channels, frames
        name = "xvector.tdnn"
        x = self._relu(
            self._conv(x, f"{name}.linear", f"{name}.nonlinear.batchnorm", strides=[2], pads=[2, 2])
        )
        for block, (layers, dilation) in enumerate(_BLOCKS, start=1):
            for layer in range(1, layers + 1):
                new = self._dense_layer(x, f"xvector.block{block}.tdnnd{layer}", dilation)
                x = graph.add("Concat", x, new, axis=1)
            # What follows the transition is a normalisation: it folds into it only after the last block.
            transit = f"xvector.transit{block}"
            x = self._activated(x, f"{transit}.nonlinear.batchnorm")
            folded = "xvector.out_nonlinear.batchnorm" if block == len(_BLOCKS) else None
            x = self._conv(x, f"{transit}.linear", folded)
        return self._embedding(self._statistics(self._relu(x)))

    def _dense_layer(self, x: str, name: str, dilation: int) -> str:
        graph = self._graph
        x = self._activated(x, f"{name}.nonlinear1.batchnorm")
        x = self._relu(self._conv(x, f"{name}.linear1", f"{name}.nonlinear2.batchnorm"))
        y = self._conv(
            x, f"{name}.cam_layer.linear_local", None, pads=[dilation, dilation], dilations=[dilation]
        )
        return graph.add("Mul", y, self._mask(x, y, f"{name}.cam_layer"))

    def _mask(self, x: str, y: str, name: str) -> str:
        """One mask for each stretch of frames, from its mean and that of all, spread over its frames."""
        graph = self._graph
        near = graph.add(
            "AveragePool", x, kernel_shape=[_CONTEXT], strides=[_CONTEXT], ceil_mode=1, count_include_pad=0
        )
        context = graph.add("Add", near, graph.add("ReduceMean", x, axes=[2], keepdims=1))
        hidden = self._relu(self._conv(context, f"{name}.linear1", None))
        mask = graph.add("Sigmoid", self._conv(hidden, f"{name}.linear2", None))
        mask = graph.add("Unsqueeze", mask, graph.integers([3]))
        mask = graph.add("Expand", mask, graph.integers([1, 1, 1, _CONTEXT]))
        mask = graph.add("Reshape", mask, graph.integers([0, 0, -1]))
        frames = graph.add("Shape", y, start=2, end=3)
        return graph.add("Slice", mask, graph.integers([0]), frames, graph.integers([2]))

    def _statistics(self, x: str) -> str:
        """Mean and standard deviation (unbiased) over time."""
        graph = self._graph
        mean = graph.add("ReduceMean", x, axes=[2], keepdims=1)
        away = graph.add("Sub", x, mean)
        total = graph.add("ReduceSum", graph.add("Mul", away, away), graph.integers([2]), keepdims=1)
        frames = graph.add("Cast", graph.add("Shape", x, start=2, end=3), to=1)
        variance = graph.add("Div", total, graph.add("Sub", frames, graph.floats(np.ones(1))))
        return graph.add("Concat", mean, graph.add("Sqrt", variance), axis=1)

    def _embedding(self, x: str) -> str:
        x = self._conv(x, "xvector.dense.linear", "xvector.dense.nonlinear.batchnorm")
        return self._graph.add("Squeeze", x, self._graph.integers([2]))

    def _conv(self, x: str, name: str, norm: str | None, **attributes: list[int]) -> str:
        """A convolution, with the normalisation that follows it folded in."""
        weight = self._weights[f"{name}.weight"].astype(np.float64)
        bias = self._weights.get(f"{name}.bias", np.zeros(weight.shape[0])).astype(np.float64)
        if norm is not None:
            scale, shift = self._norm(norm)
            weight = weight * scale.reshape(-1, *[1] * (weight.ndim - 1))
            bias = bias * scale + shift
        return self._graph.add("Conv", x, self._graph.floats(weight), self._graph.floats(bias), **attributes)

    def _activated(self, x: str, norm: str) -> str:
        scale, shift = self._norm(norm)
        x = self._graph.add("Mul", x, self._graph.floats(scale.reshape(1, -1, 1)))
        return self._relu(self._graph.add("Add", x, self._graph.floats(shift.reshape(1, -1, 1))))

    def _norm(self, name: str) -> tuple[Array, Array]:
        """Scale and shift that a normalisation amounts to once it is trained."""
        mean, variance = self._weights[f"{name}.running_mean"], self._weights[f"{name}.running_var"]
        scale = 1.0 / np.sqrt(variance.astype(np.float64) + _EPSILON)
        if f"{name}.weight" in self._weights:  # the last one has none
            scale = scale * self._weights[f"{name}.weight"]
        return scale, self._weights.get(f"{name}.bias", np.zeros(scale.shape)) - mean * scale

    def _relu(self, x: str) -> str:
        return self._graph.add("Relu", x)

    def _channels(self, name: str) -> int:
        return int(self._weights[f"{name}.weight"].shape[0])
