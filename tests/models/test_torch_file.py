"""A checkpoint is data. One that wants to be a program is refused, and nothing of it runs."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scriba.models.convert.checkpoints import read_openai
from scriba.models.convert.state import ConversionError
from scriba.models.convert.torch_file import TorchFile
from tests.models import weights


def _zip(tmp_path: Path, data: bytes, storages: dict[str, bytes] | None = None) -> Path:
    return weights.write_torch_zip(tmp_path / "it.pt", data, storages or {})


class _Runs:
    """Unpickling it normally calls ``function``."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self._call = (function, arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        return self._call


def _hostile(marker: Path) -> list[tuple[str, bytes]]:
    import builtins
    import os
    import subprocess

    touch = f"touch {marker}"
    code = f"open({str(marker)!r}, 'w').close()"
    return [
        ("os.system", pickle.dumps(_Runs(os.system, touch), 2)),
        ("os.system by a later protocol", pickle.dumps(_Runs(os.system, touch), 4)),
        ("eval", pickle.dumps({"model_state_dict": _Runs(builtins.eval, code)}, 2)),
        ("exec", pickle.dumps(_Runs(builtins.exec, code), 2)),
        ("subprocess", pickle.dumps(_Runs(subprocess.check_call, ["touch", str(marker)]), 2)),
        ("getattr", pickle.dumps(_Runs(getattr, "x", "__class__"), 2)),
        ("a name with a dot", b"\x80\x04\x8c\x05torch\x8c\x0eHalfStorage.os\x93."),
        ("an alias of an allowed module", b"ccollections\n__builtins__\n."),
        ("a call of a storage type", b"ctorch\nHalfStorage\n(tR."),
        ("an instance by NEWOBJ", b"\x80\x02ctorch\nHalfStorage\n)\x81."),
        ("an old-style instance", f"(S'{touch}'\nios\nsystem\n.".encode()),
        ("an extension code", b"\x80\x02\x82\x01."),
    ]


@pytest.mark.parametrize("index", range(12))
def test_a_hostile_pickle_is_refused_and_does_nothing(tmp_path: Path, index: int) -> None:
    marker = tmp_path / "ran"
    name, data = _hostile(marker)[index]
    with pytest.raises(ConversionError):
        read_openai(_zip(tmp_path, data))
    assert not marker.exists(), name


def test_the_refusal_says_what_was_asked_for(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=r"asks to run posix.system.*Nothing of it was run"):
        read_openai(_zip(tmp_path, _hostile(tmp_path / "ran")[0][1]))


def test_a_pickle_cannot_change_what_later_ones_get(tmp_path: Path, micro: weights.State) -> None:
    """BUILD sets attributes on whatever a pickle names; that must not outlive the file."""
    for name in ("torch._utils\n_rebuild_tensor_v2", "collections\nOrderedDict", "torch\nHalfStorage"):
        poison = b"\x80\x02c" + name.encode() + b"\n}(X\x05\x00\x00\x00dtypeX\x02\x00\x00\x00<f4u\x86b."
        poisons = [poison, poison.replace(b"}(", b"N}(", 1), poison.replace(b"u\x86b", b"ub", 1)]
        for data in poisons:
            try:
                TorchFile(_zip(tmp_path, data))
            except ConversionError:
                continue
    good = weights.write_torch(tmp_path / "good.pt", micro, openai=True)
    name = "encoder.conv1.weight"
    assert np.array_equal(read_openai(good)[name](), micro[f"model.{name}"])


def test_every_dtype_and_a_transposed_view(tmp_path: Path) -> None:
    half = np.arange(12, dtype="<f2").reshape(3, 4)
    whole = np.arange(6, dtype="<f4").reshape(2, 3)
    bits = (np.array([1.5, -2.0], np.float32).view(np.uint32) >> 16).astype("<u2")
    content = {
        "half": weights.tensor_call("HalfStorage", "0", half),
        "turned": weights.tensor_call("HalfStorage", "0", half.T),
        "whole": weights.tensor_call("FloatStorage", "1", whole),
        "brain": weights.tensor_call("BFloat16Storage", "2", bits),
    }
    storages = {"0": half.tobytes(), "1": whole.tobytes(), "2": bits.tobytes()}
    file = TorchFile(_zip(tmp_path, weights.pickled(content), storages))
    read = {name: value() for name, value in file.tensors(file.content).items()}
    assert np.array_equal(read["half"], half)
    assert np.array_equal(read["turned"], half.T)
    assert np.array_equal(read["whole"], whole)
    assert read["brain"].tolist() == [1.5, -2.0]


def _described(offset: object, shape: object, stride: object, elements: object = 4) -> bytes:
    call = weights.tensor_call("FloatStorage", "0", np.zeros(4, "<f4"))
    storage = call.arguments[0]
    storage.elements = elements  # type: ignore[attr-defined]
    call.arguments = (storage, offset, shape, stride)
    return weights.pickled({"w": call})


@pytest.mark.parametrize(
    "data",
    [
        _described(0, (5,), (1,)),
        _described(1, (4,), (1,)),
        _described(-1, (2,), (1,)),
        _described(0, (2, 2), (1,)),
        _described(0, (1 << 40,), (0,)),
        _described(0, (-1,), (1,)),
        _described(0, "four", (1,)),
        _described(0, (2,), (-1,)),
        _described(0, (2,), (1 << 62,)),
        _described("x", (2,), (1,)),
        _described(0, (4,), (1,), elements=1 << 50),
        _described(0, (4,), (1,), elements=8),
        _described(0, (4,), (1,), elements="4"),
        _described(0, (2,) * 9, (0,) * 9),
    ],
)
def test_a_description_that_lies_is_refused(tmp_path: Path, data: bytes) -> None:
    path = _zip(tmp_path, data, {"0": np.zeros(4, "<f4").tobytes()})
    with pytest.raises(ConversionError):
        _read_first(path)


def _read_first(path: Path) -> Any:
    file = TorchFile(path)
    return file.tensors(file.content)["w"]()


def test_a_storage_cannot_be_a_path(tmp_path: Path) -> None:
    call = weights.tensor_call("FloatStorage", "../data.pkl", np.zeros(4, "<f4"))
    file = TorchFile(_zip(tmp_path, weights.pickled({"w": call})))
    with pytest.raises(ConversionError):
        file.tensors(file.content)["w"]()


def test_a_packed_member_is_refused(tmp_path: Path) -> None:
    """A small file must not be able to unfold into a huge one."""
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\0" * 50_000_000)
    with pytest.raises(ConversionError):
        TorchFile(path)


@pytest.mark.parametrize("content", [b"", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", b"PK\x03\x04 cut"])
def test_old_and_damaged_files_are_refused_with_advice(tmp_path: Path, content: bytes) -> None:
    """PyTorch before 1.6 wrote no zip."""
    (tmp_path / "old.pt").write_bytes(content)
    with pytest.raises(ConversionError, match=r"before 1\.6.*newer PyTorch"):
        read_openai(tmp_path / "old.pt")


def test_a_zip_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "it.pt", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(ConversionError, match="no PyTorch checkpoint"):
        read_openai(tmp_path / "it.pt")


def test_a_checkpoint_of_something_else_is_refused(tmp_path: Path, micro: weights.State) -> None:
    path = weights.write_torch(tmp_path / "it.pt", micro, openai=False)
    with pytest.raises(ConversionError, match="not one of openai/whisper"):
        read_openai(path)
