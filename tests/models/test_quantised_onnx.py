"""8-bit ONNX exports come back as the numbers that they stand for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scriba.models.convert.onnx_file import OnnxFile
from scriba.models.convert.quantised_onnx import read_quantised_pair
from scriba.models.convert.state import ConversionError
from tests.models import weights
from tests.models.onnx_export import write_export


def test_every_weight_is_dequantised_and_named(tmp_path: Path, micro: weights.State) -> None:
    expected = write_export(micro, tmp_path / "e.onnx", tmp_path / "d.onnx")
    read = read_quantised_pair(tmp_path / "e.onnx", tmp_path / "d.onnx")
    assert {f"model.{name}" for name in read} == set(expected) == set(micro)
    for name, array in expected.items():
        back = read[name.removeprefix("model.")]()
        assert np.array_equal(back, array), name
        # and it is the original, but for the rounding to 8 bits
        assert np.abs(back - micro[name].astype(np.float32)).max() <= np.abs(micro[name]).max() / 100


@pytest.mark.parametrize("content", [b"", b"\xff" * 40, b"hello, I am a text file", b"\x3a\xff\xff\xff\x7f"])
def test_what_is_no_onnx_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "e.onnx").write_bytes(content)
    with pytest.raises(ConversionError):
        OnnxFile(tmp_path / "e.onnx")


def test_a_file_that_is_cut_off_is_refused(tmp_path: Path, micro: weights.State) -> None:
    write_export(micro, tmp_path / "e.onnx", tmp_path / "d.onnx")
    whole = (tmp_path / "e.onnx").read_bytes()
    (tmp_path / "e.onnx").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ConversionError, match="damaged"):
        OnnxFile(tmp_path / "e.onnx")


def test_a_tensor_whose_shape_lies_is_refused(tmp_path: Path) -> None:
    from tests.models import onnx_export

    lie = onnx_export._field(1, 1 << 40) + onnx_export._field(2, 1) + onnx_export._field(8, "w")
    (tmp_path / "e.onnx").write_bytes(onnx_export._model([], [lie], wrap=False))
    with pytest.raises(ConversionError, match="absurd shape"):
        OnnxFile(tmp_path / "e.onnx").tensor("w")
