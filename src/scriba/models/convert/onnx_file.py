"""Reading the weights out of an ONNX file, with no more of the format than that takes.

The messages are a subset of ``onnx.proto`` (field numbers from the ONNX specification, IR version 6 and up),
declared here so that the ``onnx`` package is not needed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf import message

from scriba.models.convert.onnx_messages import TYPES, Messages, model_class
from scriba.models.convert.state import Array, ConversionError

_MESSAGES: Messages = {
    "Tensor": (
        ("dims", 1, TYPES.TYPE_INT64, True),
        ("data_type", 2, TYPES.TYPE_INT32, False),
        ("float_data", 4, TYPES.TYPE_FLOAT, True),
        ("int32_data", 5, TYPES.TYPE_INT32, True),
        ("name", 8, TYPES.TYPE_STRING, False),
        ("raw_data", 9, TYPES.TYPE_BYTES, False),
    ),
    "Attribute": (("g", 6, "Graph", False),),
    "Node": (
        ("input", 1, TYPES.TYPE_STRING, True),
        ("name", 3, TYPES.TYPE_STRING, False),
        ("op_type", 4, TYPES.TYPE_STRING, False),
        ("attribute", 5, "Attribute", True),
    ),
    "Graph": (("node", 1, "Node", True), ("initializer", 5, "Tensor", True)),
    "Model": (("graph", 7, "Graph", False),),
}
_PACKAGE = "scriba.onnx"

_FLOAT, _UINT8, _INT8 = 1, 2, 3
_DTYPES: dict[int, np.dtype[Any]] = {
    _FLOAT: np.dtype("<f4"),
    _UINT8: np.dtype("u1"),
    _INT8: np.dtype("i1"),
    10: np.dtype("<f2"),
    11: np.dtype("<f8"),
}
_MAX_ELEMENTS = 1 << 30


@cache
def _model_class() -> type[message.Message]:
    return model_class(_MESSAGES, _PACKAGE)


class OnnxFile:
    """The initialisers and the nodes of one ONNX file, those of subgraphs included.

    Raises:
        ConversionError: the bytes are no ONNX model.
    """

    def __init__(self, path: Path) -> None:
        model: Any = _model_class()()
        try:
            model.ParseFromString(path.read_bytes())
        except message.DecodeError as error:
            raise ConversionError(f"{path.name} is not an ONNX model, or is damaged.") from error
        self._tensors: dict[str, Any] = {}
        self._nodes: list[tuple[str, str, tuple[str, ...]]] = []
        self._collect(model.graph)
        if not self._tensors:
            raise ConversionError(f"{path.name} holds no weights.")

    def _collect(self, graph: Any) -> None:
        for tensor in graph.initializer:
            self._tensors[tensor.name] = tensor
        for node in graph.node:
            self._nodes.append((node.op_type, node.name, tuple(node.input)))
            for attribute in node.attribute:
                if attribute.HasField("g"):
                    self._collect(attribute.g)

    def names(self) -> Iterator[str]:
        """The name of every initialiser."""
        return iter(tuple(self._tensors))

    def nodes(self) -> Iterator[tuple[str, str, tuple[str, ...]]]:
        """``(operator, node name, input names)`` of every node."""
        return iter(self._nodes)

    def __contains__(self, name: str) -> bool:
        return name in self._tensors

    def tensor(self, name: str) -> Array:
        """One initialiser, as it is stored.

        Raises:
            ConversionError: it is absent, of a kind that Whisper exports do not use, or its size is a lie.
        """
        tensor = self._tensors.get(name)
        if tensor is None:
            raise ConversionError(f"The ONNX model lacks the tensor {name!r}.")
        shape = tuple(tensor.dims)
        dtype = _DTYPES.get(tensor.data_type)
        if dtype is None:
            raise ConversionError(f"The tensor {name!r} has the unexpected ONNX type {tensor.data_type}.")
        size = math.prod(shape)
        if min(shape, default=1) < 0 or size > _MAX_ELEMENTS:
            raise ConversionError(f"The tensor {name!r} has the absurd shape {shape}.")
        flat: Array
        if tensor.raw_data:
            if len(tensor.raw_data) != size * dtype.itemsize:
                raise ConversionError(f"The tensor {name!r} holds fewer bytes than its shape {shape} says.")
            flat = np.frombuffer(tensor.raw_data, dtype)
        else:
            values = tensor.float_data if tensor.data_type == _FLOAT else tensor.int32_data
            flat = np.array(values, dtype)
            if flat.size != size:
                raise ConversionError(f"The tensor {name!r} holds {flat.size} values, not {size}.")
        return flat.reshape(shape)
