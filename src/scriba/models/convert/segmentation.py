"""The network of pyannote segmentation-3.0 as an ONNX graph, from its weights.

The network is PyanNet (Bredin 2023, "pyannote.audio 2.1 speaker diarization pipeline"): learnt band-pass
filters (SincNet, Ravanelli 2018), four bidirectional LSTM layers, two dense layers, and a classifier over the
sets of at most two out of three speakers (Plaquet 2023, "Powerset multi-class cross entropy loss").
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from scriba.models.convert.onnx_graph import GraphBuilder
from scriba.models.convert.state import Array, ConversionError

_SAMPLE_RATE = 16_000
_FILTER_STRIDE = 10
_LEAST_LOW_HZ, _LEAST_BAND_HZ = 50.0, 50.0
_LAYERS = 4
_SLOPE = 0.01
_NORM_EPSILON = 1e-5
CLASSES = 7
"""Nobody; each of three speakers alone; each pair of them."""


def write_segmentation(weights: Mapping[str, Array], path: Path) -> None:
    """Write the graph: ``audio`` (batch, 1, samples at 16 kHz) to ``classes`` (batch, frames, 7), logarithms
    of probabilities.

    Args:
        weights: by the names of pyannote.audio's state dict.

    Raises:
        ConversionError: weights are missing, or of another network.
    """
    try:
        _build(weights).write(path)
    except (KeyError, ValueError, IndexError) as error:
        raise ConversionError("The weights are not those of the segmentation network.") from error


def _build(weights: Mapping[str, Array]) -> GraphBuilder:
    graph = GraphBuilder("segmentation")
    x = _normalise(graph, graph.input("audio", ("batch", 1, "samples")), weights, "sincnet.wav_norm1d")
    filters = sinc_filters(
        weights["sincnet.conv1d.0.filterbank.low_hz_"],
        weights["sincnet.conv1d.0.filterbank.band_hz_"],
        weights["sincnet.conv1d.0.filterbank.window_"],
        weights["sincnet.conv1d.0.filterbank.n_"],
    )
    x = graph.add("Abs", graph.add("Conv", x, graph.floats(filters), strides=[_FILTER_STRIDE]))
    for index in range(3):
        if index:
            name = f"sincnet.conv1d.{index}"
            x = graph.add(
                "Conv", x, graph.floats(weights[f"{name}.weight"]), graph.floats(weights[f"{name}.bias"])
            )
        x = graph.add("MaxPool", x, kernel_shape=[3], strides=[3])
        x = graph.add("LeakyRelu", _normalise(graph, x, weights, f"sincnet.norm1d.{index}"), alpha=_SLOPE)
    x = graph.add("Transpose", x, perm=[2, 0, 1])  # frames, batch, channels
    for layer in range(_LAYERS):
        x = _lstm(graph, x, weights, layer)
    x = graph.add("Transpose", x, perm=[1, 0, 2])
    for index in range(2):
        x = graph.add("LeakyRelu", _dense(graph, x, weights, f"linear.{index}"), alpha=_SLOPE)
    x = graph.add("LogSoftmax", _dense(graph, x, weights, "classifier"), axis=-1)
    if weights["classifier.weight"].shape[0] != CLASSES:
        raise ValueError("another number of classes")
    graph.output(x, "classes", ("batch", "frames", CLASSES))
    return graph


def sinc_filters(low: Array, band: Array, window: Array, n: Array) -> Array:
    """(2 x filters, 1, taps): the even and the odd band-pass filter of each band (Loweimi 2019).

    ``low`` and ``band`` are (filters, 1) in Hz before their least values are added; ``window`` is the left
    half of a Hamming window, ``n`` the phase per Hz of the taps left of the centre.
    """
    lower = _LEAST_LOW_HZ + np.abs(low.astype(np.float64))
    upper = np.clip(lower + _LEAST_BAND_HZ + np.abs(band), _LEAST_LOW_HZ, _SAMPLE_RATE / 2)
    width = upper - lower
    phase = n.reshape(1, -1).astype(np.float64)
    even = (np.sin(upper * phase) - np.sin(lower * phase)) / (phase / 2) * window
    odd = (np.cos(lower * phase) - np.cos(upper * phase)) / (phase / 2) * window
    cosines = np.concatenate([even, 2 * width, even[:, ::-1]], axis=1) / (2 * width)
    sines = np.concatenate([odd, np.zeros_like(width), -odd[:, ::-1]], axis=1) / (2 * width)
    filters: Array = np.concatenate([cosines, sines])[:, None, :].astype(np.float32)
    return filters


def _normalise(graph: GraphBuilder, x: str, weights: Mapping[str, Array], name: str) -> str:
    return graph.add(
        "InstanceNormalization",
        x,
        graph.floats(weights[f"{name}.weight"]),
        graph.floats(weights[f"{name}.bias"]),
        epsilon=_NORM_EPSILON,
    )


def _lstm(graph: GraphBuilder, x: str, weights: Mapping[str, Array], layer: int) -> str:
    """One bidirectional layer over (frames, batch, channels)."""
    directions = [f"l{layer}", f"l{layer}_reverse"]
    stacks = {
        kind: np.stack([_reordered(weights[f"lstm.{kind}_{direction}"]) for direction in directions])
        for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    }
    hidden = stacks["weight_hh"].shape[-1]
    y = graph.add(
        "LSTM",
        x,
        graph.floats(stacks["weight_ih"]),
        graph.floats(stacks["weight_hh"]),
        graph.floats(np.concatenate([stacks["bias_ih"], stacks["bias_hh"]], axis=1)),
        direction="bidirectional",
        hidden_size=hidden,
    )
    y = graph.add("Transpose", y, perm=[0, 2, 1, 3])  # frames, batch, direction, hidden
    return graph.add("Reshape", y, graph.integers([0, 0, 2 * hidden]))


def _reordered(gates: Array) -> Array:
    """PyTorch stacks input, forget, cell, output; ONNX wants input, output, forget, cell."""
    i, f, c, o = np.split(gates, 4)
    return np.concatenate([i, o, f, c])


def _dense(graph: GraphBuilder, x: str, weights: Mapping[str, Array], name: str) -> str:
    product = graph.add("MatMul", x, graph.floats(weights[f"{name}.weight"].T))
    return graph.add("Add", product, graph.floats(weights[f"{name}.bias"]))
