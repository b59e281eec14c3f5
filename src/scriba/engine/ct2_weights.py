"""Reading the weights of a CTranslate2 model folder as numpy arrays.

CTranslate2 offers no way to look inside a loaded model, and an encoder run by another library needs its
weights. The layout of ``model.bin`` is what ``ctranslate2.specs.model_spec.ModelSpec._serialize`` writes:
little-endian, no padding; a header, then named tensors one after the other, then aliases.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scriba.domain.errors import EngineError

BINARY_VERSION = 6
"""The one version read: what CTranslate2 2.19 and later writes."""

_FLOAT32, _INT8, _INT16, _INT32, _FLOAT16, _BFLOAT16 = range(6)
_DTYPES: dict[int, np.dtype[Any]] = {
    _FLOAT32: np.dtype("<f4"),
    _INT8: np.dtype("i1"),
    _INT16: np.dtype("<i2"),
    _INT32: np.dtype("<i4"),
    _FLOAT16: np.dtype("<f2"),
    _BFLOAT16: np.dtype("<u2"),
}
_NO_WEIGHTS = "The model's weights are no CTranslate2 file that can be read: "


class Ct2Weights(Mapping[str, NDArray[Any]]):
    """The tensors of one ``model.bin`` by name, as read-only views of the mapped file.

    Only what is looked at is read from disk. bfloat16, which numpy lacks, comes as a float32 copy.
    """

    def __init__(self, path: Path) -> None:
        """Map the file and read its index.

        Args:
            path: ``model.bin``, or the folder that holds it.

        Raises:
            EngineError: no such file, another binary version, or the file ends too early.
        """
        file = path / "model.bin" if path.is_dir() else path
        try:
            with file.open("rb") as stream:
                self._map = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:  # an empty file cannot be mapped
            raise EngineError(_NO_WEIGHTS + "it is missing or empty.") from error
        self._index: dict[str, tuple[int, tuple[int, ...], int]] = {}
        try:
            self._read_index(_Cursor(self._map))
        except (struct.error, UnicodeDecodeError) as error:
            raise EngineError(_NO_WEIGHTS + "it ends too early or is damaged.") from error

    spec: str
    """Name of the model's specification, ``WhisperSpec`` for Whisper."""

    revision: int
    """Revision of that specification."""

    def __getitem__(self, name: str) -> NDArray[Any]:
        offset, shape, kind = self._index[name]
        dtype = _DTYPES[kind]
        count = int(np.prod(shape, dtype=np.int64))
        flat: NDArray[Any] = np.frombuffer(self._map, dtype, count, offset).reshape(shape)
        if kind == _BFLOAT16:
            widened: NDArray[np.float32] = (flat.astype(np.uint32) << np.uint32(16)).view(np.float32)
            return widened
        return flat

    def __iter__(self) -> Iterator[str]:
        return iter(self._index)

    def __len__(self) -> int:
        return len(self._index)

    def count_blocks(self, part: str) -> int:
        """How many transformer blocks the ``encoder`` or ``decoder`` has."""
        number = 0
        while f"{part}/layer_{number}/ffn/linear_0/weight" in self:
            number += 1
        return number

    def dequantised(self, name: str) -> NDArray[np.float32]:
        """A tensor as float32, whatever its storage.

        int8 has one scale for each row of the first axis, int16 one for all; the stored number is the true
        one times the scale.
        """
        stored = self[name]
        if stored.dtype.kind != "i":
            return stored.astype(np.float32)
        scale = np.asarray(self[f"{name}_scale"], dtype=np.float32)
        return stored.astype(np.float32) / scale.reshape(scale.shape + (1,) * (stored.ndim - scale.ndim))

    def _read_index(self, cursor: _Cursor) -> None:
        version = cursor.number("I")
        if version != BINARY_VERSION:
            raise EngineError(f"{_NO_WEIGHTS}its binary version is {version}, not {BINARY_VERSION}.")
        self.spec = cursor.text()
        self.revision = cursor.number("I")
        for _ in range(cursor.number("I")):
            name = cursor.text()
            shape = tuple(cursor.number("I") for _ in range(cursor.number("B")))
            kind = cursor.number("B")
            size = cursor.number("I")
            dtype = _DTYPES.get(kind)
            if dtype is None or dtype.itemsize * int(np.prod(shape, dtype=np.int64)) != size:
                raise EngineError(_NO_WEIGHTS + f"the tensor {name!r} has a type or size that do not fit.")
            self._index[name] = (cursor.skip(size), shape, kind)
        for _ in range(cursor.number("I")):
            alias, name = cursor.text(), cursor.text()
            if name not in self._index:
                raise EngineError(_NO_WEIGHTS + f"the alias {alias!r} stands for no tensor.")
            self._index[alias] = self._index[name]


class _Cursor:
    """Reads little-endian numbers and strings one after the other, never past the end."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self._at = 0

    def number(self, code: str) -> int:
        width = struct.calcsize("<" + code)
        [value] = struct.unpack_from("<" + code, self._data, self.skip(width))
        return int(value)

    def text(self) -> str:
        """A string: its length with the closing zero byte, then the bytes."""
        length = self.number("H")
        start = self.skip(length)
        return self._data[start : start + length].rstrip(b"\0").decode("utf-8")

    def skip(self, size: int) -> int:
        """Move on by ``size`` bytes; where they began."""
        start = self._at
        if start + size > len(self._data):
            raise struct.error("past the end")
        self._at = start + size
        return start
