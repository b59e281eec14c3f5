"""Rewrite Silero VAD v6 so that many frames cost few matrix products: the package has the result.

    python scripts/vad_model.py

The published network convolves 4, 2 and 1 positions a frame, too few for onnxruntime's convolutions to be
fast. Here a frame is a row and each convolution is one product with a banded matrix. The weights and the LSTM
are the published ones; the results differ by rounding (tests/audio/test_vad.py).

The spectrum takes half the multiplications: with a window in halves ``a`` and ``b``, a bin of even number is
the transform of ``a + b``, one of odd number that of ``a - b``. It is written with even numbers first.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scriba.models.convert.onnx_file import OnnxFile

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "tests" / "audio" / "assets" / "silero_vad_v6.onnx"
TARGET = ROOT / "src" / "scriba" / "audio" / "assets" / "silero_vad_dense.onnx"

HALF, BINS, STEPS, UNITS = 128, 129, 4, 128
"""Samples of half a window; bins of its spectrum; windows in a frame; units of the LSTM."""
_ORDER = [*range(0, BINS, 2), *range(1, BINS, 2)]
_FLOAT, _INT64 = 1, 7

Array = NDArray[Any]
Shape = tuple[int | str, ...]


def _field(number: int, value: int | str | bytes) -> bytes:
    """One field of a Protocol Buffers message: writing four kinds of message by hand saves a dependency."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    content = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


class Graph:
    """An ONNX graph being written (IR version 8, operators of version 17); fields as in ``onnx.proto``."""

    def __init__(self) -> None:
        self._body = _field(2, "silero_vad_dense")

    def values(self, field: int, shapes: dict[str, Shape]) -> None:
        """Inputs (field 11) or outputs (field 12), all float32; a size that is a word may vary."""
        for name, shape in shapes.items():
            sizes = b"".join(_field(1, _field(1 if isinstance(size, int) else 2, size)) for size in shape)
            kind = _field(1, _field(1, _FLOAT) + _field(2, sizes))
            self._body += _field(field, _field(1, name) + _field(2, kind))

    def constant(self, name: str, array: Array) -> str:
        """float32, or int64 for shapes and indices."""
        kind = _INT64 if array.dtype.kind == "i" else _FLOAT
        stored = array.astype("<i8" if kind == _INT64 else "<f4")
        sizes = b"".join(_field(1, size) for size in stored.shape)
        self._body += _field(5, sizes + _field(2, kind) + _field(8, name) + _field(9, stored.tobytes()))
        return name

    def node(self, operator: str, inputs: str, outputs: str, **integers: int) -> str:
        """One operation; names are separated by spaces, ``-`` stands for an input left out."""
        body = b"".join(_field(1, "" if name == "-" else name) for name in inputs.split())
        body += b"".join(_field(2, name) for name in outputs.split()) + _field(4, operator)
        for name, value in integers.items():
            body += _field(5, _field(1, name) + _field(3, value) + _field(20, 2))
        self._body += _field(1, body)
        return outputs

    def slice(self, source: str, target: str, axis: int, start: int, end: int) -> str:
        bounds = [
            self.constant(f"{target}_{part}", np.array([value]))
            for part, value in (("start", start), ("end", end), ("axis", axis))
        ]
        return self.node("Slice", " ".join((source, *bounds)), target)

    def model(self) -> bytes:
        return _field(1, 8) + _field(7, self._body) + _field(8, _field(2, 17))


def _banded(weight: Array, length: int, stride: int) -> Array:
    """A convolution of width 3, padded by 1, over ``length`` positions as one matrix.

    Rows are (position, channel) of what goes in, columns those of what comes out.
    """
    out, channels, width = weight.shape
    positions = (length + 2 - width) // stride + 1
    matrix = np.zeros((length, channels, positions, out), np.float32)
    for position in range(positions):
        for tap in range(width):
            source = position * stride + tap - 1
            if 0 <= source < length:
                matrix[source, :, position] = weight[:, :, tap].T
    return matrix.reshape(length * channels, positions * out)


def _spectrum(graph: Graph, basis: Array) -> str:
    """Magnitudes of ``audio``, shape (frames, STEPS * BINS). Fails unless the weights are a transform."""
    window = 0.5 - 0.5 * np.cos(np.pi * np.arange(2 * HALF) / HALF)
    phase = np.pi * np.outer(np.arange(2 * HALF), np.arange(BINS)) / HALF
    expected = np.concatenate((np.cos(phase), -np.sin(phase)), axis=1) * window[:, None]
    np.testing.assert_allclose(basis[:, 0].T, expected, atol=1e-6)

    rising, falling = graph.constant("rising", window[:HALF]), graph.constant("falling", window[HALF:])
    graph.node("Mul", f"{graph.slice('audio', 'first', 1, 0, STEPS)} {rising}", "a")
    graph.node("Mul", f"{graph.slice('audio', 'second', 1, 1, STEPS + 1)} {falling}", "b")
    for number, (name, operator) in enumerate((("even", "Add"), ("odd", "Sub"))):
        angles = phase[:HALF, number::2]
        transform = graph.constant(f"{name}_transform", np.hstack((np.cos(angles), np.sin(angles))))
        graph.node("MatMul", f"{graph.node(operator, 'a b', name)} {transform}", f"{name}_parts")
        graph.node("Mul", f"{name}_parts {name}_parts", f"{name}_squares")
        graph.node("Split", f"{name}_squares", f"{name}_real {name}_imaginary", axis=2)
        graph.node("Add", f"{name}_real {name}_imaginary", f"{name}_power")
    graph.node("Sqrt", graph.node("Concat", "even_power odd_power", "power", axis=2), "magnitude")
    row = graph.constant("row", np.array([-1, STEPS * BINS]))
    return graph.node("Reshape", f"magnitude {row}", "spectrum")


def _product(graph: Graph, source: str, target: str, matrix: Array, bias: Array) -> str:
    """``relu(source @ matrix + bias)``, the bias the same for every position."""
    weight = graph.constant(f"{target}_weight", matrix)
    offset = graph.constant(f"{target}_bias", np.tile(bias, matrix.shape[1] // len(bias)))
    return graph.node("Relu", graph.node("Gemm", f"{source} {weight} {offset}", f"{target}_sum"), target)


def _convolutions(graph: Graph, spectrum: str, weights: OnnxFile) -> str:
    def layer(number: int) -> tuple[Array, Array]:
        name = f"encoder.conv_layers.{number}"
        return weights.tensor(f"{name}.weight"), weights.tensor(f"{name}.bias")

    weight, bias = layer(0)
    matrix = _banded(weight[:, _ORDER], STEPS, 1)
    # Two positions see three each, so a quarter of the whole band is zeros not worth multiplying.
    seen, half = 3 * BINS, matrix.shape[1] // 2
    early = graph.slice(spectrum, "early", 1, 0, seen)
    late = graph.slice(spectrum, "late", 1, BINS, BINS + seen)
    _product(graph, early, "convolved_early", matrix[:seen, :half], bias)
    _product(graph, late, "convolved_late", matrix[BINS:, half:], bias)
    current = graph.node("Concat", "convolved_early convolved_late", "convolved_0", axis=1)
    for number, length, stride in ((1, 4, 2), (2, 2, 2), (3, 1, 1)):
        weight, bias = layer(number)
        current = _product(graph, current, f"convolved_{number}", _banded(weight, length, stride), bias)
    return current


def _lstm(graph: Graph, source: str, weights: OnnxFile) -> None:
    state: Shape = (1, 1, UNITS)
    graph.node("Unsqueeze", f"{source} {graph.constant('batch', np.array([1]))}", "sequence")
    inputs, recurrent, bias = (
        graph.constant(name, weights.tensor(f"onnx::LSTM_{number}"))
        for name, number in (("lstm_input", 209), ("lstm_recurrent", 210), ("lstm_bias", 211))
    )
    graph.node("LSTM", f"sequence {inputs} {recurrent} {bias} - h c", "heard hn cn", hidden_size=UNITS)
    units = graph.constant("units", np.array([-1, UNITS]))
    graph.node("Relu", graph.node("Reshape", f"heard {units}", "heard_rows"), "heard_relu")
    weight = graph.constant("decoder_weight", weights.tensor("decoder.conv1d.weight").reshape(UNITS, 1))
    offset = graph.constant("decoder_bias", weights.tensor("decoder.conv1d.bias"))
    graph.node("Gemm", f"heard_relu {weight} {offset}", "logits")
    graph.node("Sigmoid", "logits", "probabilities")
    graph.values(11, {"audio": ("frames", STEPS + 1, HALF), "h": state, "c": state})
    graph.values(12, {"probabilities": ("frames", 1), "hn": state, "cn": state})


def rewrite(source: Path) -> bytes:
    """The rewritten network as an ONNX file.

    Its input ``audio`` has the shape (frames, 5, 128): 64 samples before the frame, its 512, and the 64
    before its last one backwards.
    """
    weights = OnnxFile(source)
    graph = Graph()
    spectrum = _spectrum(graph, weights.tensor("encoder.feature_extractor.forward_basis_buffer"))
    _lstm(graph, _convolutions(graph, spectrum, weights), weights)
    return graph.model()


if __name__ == "__main__":
    TARGET.write_bytes(rewrite(SOURCE))
