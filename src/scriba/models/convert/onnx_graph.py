"""Writing an ONNX file, with no more of the format than a graph of a few dozen operators takes.

The messages are a subset of ``onnx.proto`` (field numbers from the ONNX specification, IR version 8, operator
set 17), declared here so that the ``onnx`` package is not needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from scriba.models.convert.onnx_messages import TYPES, Messages, model_class
from scriba.models.convert.state import Array

_MESSAGES: Messages = {
    "Tensor": (
        ("dims", 1, TYPES.TYPE_INT64, True),
        ("data_type", 2, TYPES.TYPE_INT32, False),
        ("name", 8, TYPES.TYPE_STRING, False),
        ("raw_data", 9, TYPES.TYPE_BYTES, False),
    ),
    "Attribute": (
        ("name", 1, TYPES.TYPE_STRING, False),
        ("f", 2, TYPES.TYPE_FLOAT, False),
        ("i", 3, TYPES.TYPE_INT64, False),
        ("s", 4, TYPES.TYPE_BYTES, False),
        ("ints", 8, TYPES.TYPE_INT64, True),
        ("type", 20, TYPES.TYPE_INT32, False),
    ),
    "Node": (
        ("input", 1, TYPES.TYPE_STRING, True),
        ("output", 2, TYPES.TYPE_STRING, True),
        ("name", 3, TYPES.TYPE_STRING, False),
        ("op_type", 4, TYPES.TYPE_STRING, False),
        ("attribute", 5, "Attribute", True),
    ),
    "Dimension": (
        ("dim_value", 1, TYPES.TYPE_INT64, False),
        ("dim_param", 2, TYPES.TYPE_STRING, False),
    ),
    "Shape": (("dim", 1, "Dimension", True),),
    "TensorType": (("elem_type", 1, TYPES.TYPE_INT32, False), ("shape", 2, "Shape", False)),
    "Type": (("tensor_type", 1, "TensorType", False),),
    "ValueInfo": (("name", 1, TYPES.TYPE_STRING, False), ("type", 2, "Type", False)),
    "Graph": (
        ("node", 1, "Node", True),
        ("name", 2, TYPES.TYPE_STRING, False),
        ("initializer", 5, "Tensor", True),
        ("input", 11, "ValueInfo", True),
        ("output", 12, "ValueInfo", True),
    ),
    "OperatorSet": (("domain", 1, TYPES.TYPE_STRING, False), ("version", 2, TYPES.TYPE_INT64, False)),
    "Model": (
        ("ir_version", 1, TYPES.TYPE_INT64, False),
        ("producer_name", 2, TYPES.TYPE_STRING, False),
        ("graph", 7, "Graph", False),
        ("opset_import", 8, "OperatorSet", True),
    ),
}
_PACKAGE = "scriba.onnx.writing"
_IR_VERSION, _OPERATOR_SET = 8, 17
_FLOAT, _INT64 = 1, 7
_ATTRIBUTE_FLOAT, _ATTRIBUTE_INT, _ATTRIBUTE_STRING, _ATTRIBUTE_INTS = 1, 2, 3, 7


@cache
def _model_class() -> Any:
    return model_class(_MESSAGES, _PACKAGE)


class GraphBuilder:
    """One graph in the making. Values are known by name; every tensor is float32 unless it is a shape.

    Args:
        name: of the graph.
    """

    def __init__(self, name: str) -> None:
        self._model: Any = _model_class()()
        self._model.ir_version = _IR_VERSION
        self._model.producer_name = "scriba"
        self._model.opset_import.add(version=_OPERATOR_SET)
        self._graph: Any = self._model.graph
        self._graph.name = name
        self._values = 0

    def input(self, name: str, shape: Sequence[int | str]) -> str:
        """Declare an input; a string in ``shape`` is a size that is known when it runs."""
        _declare(self._graph.input.add(), name, shape)
        return name

    def output(self, value: str, name: str, shape: Sequence[int | str]) -> None:
        """Give ``value`` out under ``name``."""
        node = self._graph.node.add(op_type="Identity", name=name)
        node.input.append(value)
        node.output.append(name)
        _declare(self._graph.output.add(), name, shape)

    def floats(self, array: Array) -> str:
        """A float32 constant."""
        return self._constant(np.ascontiguousarray(array, dtype="<f4"), _FLOAT)

    def integers(self, values: Sequence[int]) -> str:
        """An int64 constant of one dimension: a shape, or a list of axes."""
        return self._constant(np.asarray(values, dtype="<i8"), _INT64)

    def add(self, operator: str, *inputs: str, **attributes: float | str | Sequence[int]) -> str:
        """One operator; the name of its first output. An empty input is one that is left out."""
        output = self._name()
        node = self._graph.node.add(op_type=operator, name=output)
        node.input.extend(inputs)
        node.output.append(output)
        for name, value in attributes.items():
            attribute = node.attribute.add(name=name)
            if isinstance(value, float):
                attribute.f, attribute.type = value, _ATTRIBUTE_FLOAT
            elif isinstance(value, int):
                attribute.i, attribute.type = value, _ATTRIBUTE_INT
            elif isinstance(value, str):
                attribute.s, attribute.type = value.encode(), _ATTRIBUTE_STRING
            else:
                attribute.ints.extend(value)
                attribute.type = _ATTRIBUTE_INTS
        return output

    def write(self, path: Path) -> None:
        """Write the model; the same graph is always the same bytes."""
        path.write_bytes(self._model.SerializeToString(deterministic=True))

    def _constant(self, array: Array, kind: int) -> str:
        name = self._name()
        tensor = self._graph.initializer.add(name=name, data_type=kind)
        tensor.dims.extend(array.shape)
        tensor.raw_data = array.tobytes()
        return name

    def _name(self) -> str:
        self._values += 1
        return f"v{self._values}"


def _declare(info: Any, name: str, shape: Sequence[int | str]) -> None:
    info.name = name
    info.type.tensor_type.elem_type = _FLOAT
    for size in shape:
        dimension = info.type.tensor_type.shape.dim.add()
        if isinstance(size, str):
            dimension.dim_param = size
        else:
            dimension.dim_value = size
