"""An 8-bit ONNX export of Whisper as the JavaScript world publishes it, written byte by byte.

Nothing of the reader under test is used: fields are encoded by hand from ``onnx.proto``.
"""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import numpy as np

from tests.models.weights import Array, State

_FLOAT, _UINT8, _INT8 = 1, 2, 3


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def _field(number: int, value: int | str | bytes) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    raw = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(raw)) + raw


def _tensor(name: str, array: Array, *, typed: bool = False) -> bytes:
    kind = {"f": _FLOAT, "u": _UINT8, "i": _INT8}[array.dtype.kind]
    dims = b"".join(_field(1, size) for size in array.shape)
    if typed and kind == _FLOAT:  # the other way of storing floats: packed, little-endian
        data = _field(4, array.astype("<f4").tobytes())
    else:
        data = _field(9, array.tobytes())
    return dims + _field(2, kind) + _field(8, name) + data


def _node(operator: str, name: str, inputs: list[str]) -> bytes:
    body = b"".join(_field(1, text) for text in inputs)
    return body + _field(2, f"{name}_out") + _field(3, name) + _field(4, operator)


def _model(nodes: list[bytes], tensors: list[bytes], *, wrap: bool) -> bytes:
    inner = b"".join(_field(1, node) for node in nodes)
    if wrap:  # a merged decoder: both branches of an If, over initialisers of the outer graph
        branches = b""
        for branch in ("then_branch", "else_branch"):
            attribute = _field(1, branch) + _field(6, inner + _field(2, branch)) + _field(20, 5)
            branches += _field(5, attribute)
        inner = _field(1, _field(3, "optimum::if") + _field(4, "If") + branches)
    graph = inner + _field(2, "main") + b"".join(_field(5, tensor) for tensor in tensors)
    return _field(1, 8) + _field(2, "test") + _field(7, graph) + _field(8, _field(2, 13))


def quantise(array: Array, dtype: np.dtype[np.uint8] | np.dtype[np.int8]) -> tuple[Array, Array, Array]:
    """Values, scale and zero point of one tensor, 8 bits each (affine; symmetric when signed)."""
    full = array.astype(np.float32)
    if dtype == np.int8:
        scale = np.float32(np.abs(full).max() / 127)
        zero = np.array(0, np.int8)
    else:
        low, high = min(full.min(), 0.0), max(full.max(), 0.0)
        scale = np.float32((high - low) / 255)
        zero = np.array(round(-low / scale), np.uint8)
    bounds = np.iinfo(dtype)
    values = np.clip(np.rint(full / scale) + zero, bounds.min, bounds.max).astype(dtype)
    return values, np.array(scale, np.float32), zero


def write_export(state: State, encoder: Path, decoder: Path) -> State:
    """Write the pair; returns the weights as they should come back, float32."""
    expected: State = {}
    numbers = itertools.count(600)
    for side, path, dtype in (
        ("encoder", encoder, np.dtype(np.uint8)),
        ("decoder", decoder, np.dtype(np.int8)),
    ):
        nodes, tensors = [], []
        merged = "_merged_0" if side == "decoder" else ""
        for name, array in state.items():
            if not name.startswith(f"model.{side}."):
                continue
            local = name if side == "decoder" else name.removeprefix("model.encoder.")
            linear = re.search(r"(proj|fc\d)\.weight$", name) is not None
            if linear or name.endswith(("conv1.weight", "conv2.weight", "embed_tokens.weight")):
                stored = array.T if linear else array
                values, scale, zero = quantise(np.ascontiguousarray(stored), dtype)
                base = (f"onnx::MatMul_{next(numbers)}" if linear else local) + merged
                tensors += [
                    _tensor(f"{base}_scale", scale),
                    _tensor(f"{base}_zero_point", zero),
                    _tensor(f"{base}_quantized", values),
                ]
                if linear:
                    module = local.removesuffix(".weight")
                    # layers.0 stays one step of the path; every other dot is a slash.
                    step = re.sub(r"\.(?!\d)", "/", module)
                    inputs = ["x_quantized", f"{base}_quantized", "x_zero_point", f"{base}_zero_point"]
                    nodes.append(_node("MatMulInteger", f"/{step}/MatMul_quant", inputs))
                back = (values.astype(np.float32) - zero.astype(np.float32)) * scale
                expected[name] = back.T if linear else back
            else:
                tensors.append(_tensor(local + merged, array.astype("<f4"), typed="bias" in name))
                expected[name] = array.astype(np.float32)
        tensors.append(_tensor("onnx::Add_5", np.zeros(3, "<f4")))
        path.write_bytes(_model(nodes, tensors, wrap=side == "decoder"))
    return expected
