"""One matrix product of bytes as an ONNX model, written field by field: it saves the ``onnx`` package.

Field numbers are those of ``onnx.proto`` (ONNX specification, IR version 8), in the Protocol Buffers format.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_UINT8, _INT8, _INT32 = 2, 3, 6


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _field(number: int, value: int | str | bytes) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    content = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _value(name: str, kind: int, shape: tuple[int, ...]) -> bytes:
    dimensions = b"".join(_field(1, _field(1, size)) for size in shape)
    tensor = _field(1, kind) + _field(2, dimensions)
    return _field(1, name) + _field(2, _field(1, tensor))


def integer_matmul(rows: int, weights: NDArray[np.int8]) -> bytes:
    """A model with the input ``left``, uint8 of shape ``(rows, inner)``: int32 of ``left @ weights``.

    Args:
        weights: shape ``(inner, columns)``; part of the model.
    """
    inner, columns = weights.shape
    sizes: Any = b"".join(_field(1, size) for size in weights.shape)
    initializer = sizes + _field(2, _INT8) + _field(8, "right") + _field(9, weights.tobytes())
    node = _field(1, "left") + _field(1, "right") + _field(2, "product") + _field(4, "MatMulInteger")
    graph = (
        _field(1, node)
        + _field(2, "product")
        + _field(5, initializer)
        + _field(11, _value("left", _UINT8, (rows, inner)))
        + _field(12, _value("product", _INT32, (rows, columns)))
    )
    return _field(1, 8) + _field(7, graph) + _field(8, _field(2, 13))
