"""Reading a PyTorch checkpoint without PyTorch, and without running anything that is in it.

A ``.pt`` or ``.bin`` file (PyTorch 1.6 and up) is a zip of one pickle, which describes tensors, and of one
stored member for each storage (``torch.serialization``). A pickle is a program: this reader lets it name only
the handful of things that a table of tensors needs, and stands inert values in for them.
"""

from __future__ import annotations

import io
import math
import pickle
import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from scriba.models.convert.state import Array, ConversionError

_MAX_PICKLE_BYTES = 32 << 20
_MAX_ELEMENTS = 1 << 31
_BFLOAT16 = "bfloat16"
_STORAGES: Mapping[str, str] = {
    "HalfStorage": "<f2",
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "BFloat16Storage": _BFLOAT16,
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}
_KEY = re.compile(r"^\d{1,20}$")
"""Numbers; early versions wrote addresses."""


@dataclass(frozen=True)
class _Storage:
    key: object
    dtype: object
    elements: object


@dataclass(frozen=True)
class _Tensor:
    """A view into a storage. Nothing in it is believed before ``TorchFile`` has checked it."""

    storage: object
    offset: object
    shape: object
    stride: object


class _StorageType:
    __slots__ = ("dtype",)

    def __init__(self, dtype: str) -> None:
        self.dtype = dtype


class _RestrictedUnpickler(pickle.Unpickler):
    """Knows ordered dictionaries, tensors and storages. Every other name ends the reading."""

    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data))
        # Made anew for each file: a pickle can set attributes on what it names.
        self._names: dict[tuple[str, str], object] = {
            ("collections", "OrderedDict"): type("StateDict", (dict,), {}),
            ("torch._utils", "_rebuild_tensor_v2"): partial(_rebuild_tensor),
            ("torch._utils", "_rebuild_parameter"): partial(_rebuild_parameter),
        }
        self._names |= {("torch", name): _StorageType(dtype) for name, dtype in _STORAGES.items()}

    def find_class(self, module_name: str, global_name: str) -> Any:
        try:
            return self._names[module_name, global_name]
        except KeyError:
            raise ConversionError(
                f"The checkpoint was refused: it asks to run {module_name}.{global_name}, "
                "which no table of weights needs. Nothing of it was run."
            ) from None

    def persistent_load(self, pid: Any) -> _Storage:
        if not (isinstance(pid, tuple) and len(pid) == 5 and pid[0] == "storage"):
            raise ConversionError("The checkpoint is damaged: a storage is not described as one.")
        _, kind, key, _location, elements = pid
        if not isinstance(kind, _StorageType):
            raise ConversionError("The checkpoint is damaged: a storage has no known type.")
        return _Storage(key, kind.dtype, elements)


def _rebuild_tensor(storage: object, offset: object, shape: object, stride: object, *_: object) -> _Tensor:
    return _Tensor(storage, offset, shape, stride)


def _rebuild_parameter(data: object, *_: object) -> object:
    return data


class TorchFile:
    """One checkpoint. ``content`` is the unpickled object, with ``tensor`` to read its tensors.

    Raises:
        ConversionError: the file is damaged, too old, or asks for more than weights.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with zipfile.ZipFile(path) as archive:
                self._members = {info.filename: info for info in archive.infolist()}
                pickles = [name for name in self._members if re.fullmatch(r"[^/]+/data\.pkl", name)]
                if len(pickles) != 1:
                    raise ConversionError(f"{path.name} is a zip, but no PyTorch checkpoint.")
                self._prefix = pickles[0].removesuffix("data.pkl")
                if self._read_member(archive, "byteorder", 16) not in (b"", b"little"):
                    raise ConversionError(f"{path.name} was written on a machine of the other byte order.")
                data = self._read_member(archive, "data.pkl", _MAX_PICKLE_BYTES)
        except zipfile.BadZipFile as error:
            raise ConversionError(
                f"{path.name} is damaged, or in the format of PyTorch before 1.6, which is not read. "
                "Load and save it with a newer PyTorch."
            ) from error
        self.content: Any = self._load(data)

    def _load(self, data: bytes) -> object:
        try:
            return _RestrictedUnpickler(data).load()
        except ConversionError:
            raise
        except Exception as error:  # a hostile pickle can raise nearly anything
            raise ConversionError(
                f"{self._path.name} is damaged: its table of weights cannot be read."
            ) from error

    def tensors(self, table: object) -> dict[str, Callable[[], Array]]:
        """Readers for the tensors of a state dict.

        Raises:
            ConversionError: it is no state dict.
        """
        if not isinstance(table, dict):
            raise ConversionError(f"{self._path.name} holds no table of weights.")
        found: dict[str, Callable[[], Array]] = {
            name: partial(self.tensor, name, value)
            for name, value in table.items()
            if isinstance(name, str) and isinstance(value, _Tensor)
        }
        if not found:
            raise ConversionError(f"{self._path.name} holds no weights.")
        return found

    def tensor(self, name: str, view: object) -> Array:
        """Read one tensor from its storage.

        Raises:
            ConversionError: its description does not fit what is in the file.
        """
        storage = view.storage if isinstance(view, _Tensor) else None
        if not isinstance(view, _Tensor) or not isinstance(storage, _Storage):
            raise ConversionError(f"The weight {name} is damaged.")
        shape, stride, offset = _whole(view.shape), _whole(view.stride), view.offset
        if shape is None or stride is None or len(shape) != len(stride) or len(shape) > 8:
            raise ConversionError(f"The weight {name} has an absurd shape.")
        if not isinstance(offset, int) or offset < 0 or math.prod(shape) > _MAX_ELEMENTS:
            raise ConversionError(f"The weight {name} has an absurd shape.")
        flat = self._storage(name, storage)
        last = offset + sum((size - 1) * step for size, step in zip(shape, stride, strict=True))
        if math.prod(shape) and last >= flat.size:
            raise ConversionError(f"The weight {name} reaches beyond its storage.")
        strides = tuple(step * flat.itemsize for step in stride)
        return np.ascontiguousarray(np.lib.stride_tricks.as_strided(flat[offset:], shape, strides))

    def _storage(self, name: str, storage: _Storage) -> Array:
        if not isinstance(storage.key, str) or not _KEY.match(storage.key):
            raise ConversionError(f"The weight {name} is damaged.")
        kind = str(storage.dtype)
        dtype = np.dtype("<u2" if kind == _BFLOAT16 else kind)
        elements = storage.elements
        if not isinstance(elements, int) or not 0 <= elements <= _MAX_ELEMENTS:
            raise ConversionError(f"The weight {name} has an absurd size.")
        with zipfile.ZipFile(self._path) as archive:
            data = self._read_member(archive, f"data/{storage.key}", elements * dtype.itemsize)
        if len(data) != elements * dtype.itemsize:
            raise ConversionError(f"The weight {name} holds fewer bytes than it says.")
        flat: Array = np.frombuffer(data, dtype)
        return widen_bfloat16(flat) if kind == _BFLOAT16 else flat

    def _read_member(self, archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
        info = self._members.get(self._prefix + name)
        if info is None:
            return b""
        # Checkpoints are stored, never packed: a small file cannot unfold into a huge one.
        if info.compress_type != zipfile.ZIP_STORED or info.file_size > limit:
            raise ConversionError(f"{self._path.name} is damaged, or no PyTorch checkpoint.")
        try:
            return archive.read(info)
        except (zipfile.BadZipFile, EOFError, OSError) as error:
            raise ConversionError(f"{self._path.name} is damaged.") from error


def _whole(value: object) -> tuple[int, ...] | None:
    if not isinstance(value, tuple) or not all(isinstance(item, int) and item >= 0 for item in value):
        return None
    return value


def widen_bfloat16(bits: Array) -> Array:
    """float32 from bfloat16 bits (``uint16``): the same number with 16 more bits of zero."""
    wide: Array = bits.astype(np.uint32) << 16
    return wide.view(np.float32)
