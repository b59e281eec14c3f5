"""Reading ``.safetensors``: eight bytes of length, a JSON header, and the tensors' bytes."""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from scriba.models.convert.state import Array, ConversionError
from scriba.models.convert.torch_file import widen_bfloat16
from scriba.models.convert.vocabulary import load_json

INDEX = "model.safetensors.index.json"
WHOLE = "model.safetensors"
SHARD = re.compile(r"^model-\d{5}-of-\d{5}\.safetensors$")
_MAX_HEADER_BYTES = 16 << 20
_DTYPES = {"F16": "<f2", "F32": "<f4", "F64": "<f8", "BF16": "<u2"}


def read_safetensors(path: Path) -> dict[str, Callable[[], Array]]:
    """Readers for every floating point tensor in one file.

    Raises:
        ConversionError: the file is damaged.
    """
    length = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        size = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 0 < size <= min(_MAX_HEADER_BYTES, length - 8):
            raise ConversionError(f"{path.name} is damaged, or no safetensors file.")
        try:
            header: Any = json.loads(file.read(size))
            entries = {name: value for name, value in header.items() if name != "__metadata__"}
            return {
                name: partial(
                    _read,
                    path,
                    name,
                    value["dtype"],
                    tuple(int(dimension) for dimension in value["shape"]),
                    8 + size + int(value["data_offsets"][0]),
                    8 + size + int(value["data_offsets"][1]),
                )
                for name, value in entries.items()
                if value["dtype"] in _DTYPES
            }
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
            raise ConversionError(f"{path.name} is damaged: its header cannot be read.") from error


def _read(path: Path, name: str, kind: str, shape: tuple[int, ...], begin: int, end: int) -> Array:
    dtype = np.dtype(_DTYPES[kind])
    if min(shape, default=0) < 0 or end - begin != math.prod(shape) * dtype.itemsize or begin < 8:
        raise ConversionError(f"The weight {name} does not fit its description.")
    with path.open("rb") as file:
        file.seek(begin)
        flat: Array = np.fromfile(file, dtype, math.prod(shape))
    if flat.size != math.prod(shape):
        raise ConversionError(f"{path.name} is cut off.")
    return (widen_bfloat16(flat) if kind == "BF16" else flat).reshape(shape)


def read_sharded(directory: Path) -> dict[str, Callable[[], Array]]:
    """Readers for a model that its index splits over several files of the same directory.

    Raises:
        ConversionError: a file is missing, or the index names one that is no shard.
    """
    table = load_json(directory / INDEX).get("weight_map")
    if not isinstance(table, dict) or not table:
        raise ConversionError(f"{INDEX} is damaged.")
    tensors: dict[str, Callable[[], Array]] = {}
    for name in sorted({str(value) for value in table.values()}):
        if not SHARD.match(name) or not (directory / name).is_file():
            raise ConversionError(f"{INDEX} names the file {name[:60]!r}, which is not here.")
        tensors.update(read_safetensors(directory / name))
    return tensors
