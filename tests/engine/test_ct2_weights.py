"""The reader of CTranslate2's weights: against what CTranslate2 itself writes, and against damage."""

import struct
from pathlib import Path

import numpy as np
import pytest
from ctranslate2.specs.model_spec import LayerSpec, ModelSpec, NumpyVariable
from numpy.typing import NDArray

from scriba.domain.errors import EngineError
from scriba.engine.ct2_weights import Ct2Weights
from tests.speech import bundled


class Linear(LayerSpec):  # type: ignore[misc]
    def __init__(self, weight: NDArray[np.float32]) -> None:
        self.weight = weight.copy()
        self.weight_scale: str | None = None
        self.bias = np.arange(weight.shape[0], dtype=np.float32)


class Convolution(LayerSpec):  # type: ignore[misc]
    def __init__(self, weight: NDArray[np.float32]) -> None:
        self.weight = weight.copy()
        self.weight_scale: str | None = None


class Model(ModelSpec):  # type: ignore[misc]
    name = "TestSpec"
    revision = 7

    def __init__(self, weight: NDArray[np.float32], kernel: NDArray[np.float32]) -> None:
        super().__init__()
        self.first = Linear(weight)
        self.second = Linear(weight)
        self.kernel = Convolution(kernel)
        self.heads = np.int16(6)


@pytest.fixture
def weight() -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)


@pytest.fixture
def kernel() -> NDArray[np.float32]:
    return np.random.default_rng(1).normal(size=(4, 2, 3)).astype(np.float32)


def write(folder: Path, weight: NDArray[np.float32], kernel: NDArray[np.float32], storage: str) -> Path:
    """As CTranslate2's converters write it."""
    spec = Model(weight, kernel)
    for part in (spec.first, spec.second, spec.kernel):
        part.weight_scale = "__optional"
    spec.validate()
    spec.optimize(None if storage == "bfloat16" else storage)
    if storage == "bfloat16":  # CTranslate2 only makes it with torch
        spec.kernel.weight = BFloat16(kernel)
    spec._serialize(str(folder / "model.bin"))
    return folder


class BFloat16(NumpyVariable):  # type: ignore[misc]
    """float32 cut to its upper half."""

    @property
    def dtype(self) -> str:
        return "bfloat16"

    def num_bytes(self) -> int:
        return len(self.to_bytes())

    def to_bytes(self) -> bytes:
        upper: bytes = (self.array.view(np.uint32) >> 16).astype("<u2").tobytes()
        return upper


def test_reads_names_shapes_and_numbers(
    tmp_path: Path, weight: NDArray[np.float32], kernel: NDArray[np.float32]
) -> None:
    weights = Ct2Weights(write(tmp_path, weight, kernel, "float32"))
    assert (weights.spec, weights.revision) == ("TestSpec", 7)
    assert set(weights) == {
        "first/weight", "first/bias", "second/weight", "second/bias", "kernel/weight", "heads"
    }  # fmt: skip
    np.testing.assert_array_equal(weights["first/weight"], weight)
    np.testing.assert_array_equal(weights["first/bias"], np.arange(5))
    np.testing.assert_array_equal(weights["kernel/weight"], kernel)
    assert weights["heads"].shape == ()
    assert int(weights["heads"]) == 6


def test_an_alias_reads_as_what_it_stands_for(
    tmp_path: Path, weight: NDArray[np.float32], kernel: NDArray[np.float32]
) -> None:
    weights = Ct2Weights(write(tmp_path, weight, kernel, "float32"))
    np.testing.assert_array_equal(weights["second/weight"], weight)
    assert np.shares_memory(weights["second/weight"], weights["first/weight"])


@pytest.mark.parametrize(
    ("storage", "error"),
    [("float16", 2**-11), ("int8", 1 / 254), ("int16", 2**-10), ("bfloat16", 2**-7)],
)
def test_dequantises_to_within_the_storages_step(
    tmp_path: Path, weight: NDArray[np.float32], kernel: NDArray[np.float32], storage: str, error: float
) -> None:
    weights = Ct2Weights(write(tmp_path, weight, kernel, storage))
    for name, true in (("first/weight", weight), ("kernel/weight", kernel)):
        read = weights.dequantised(name)
        assert read.dtype == np.float32
        # One scale a row in int8, so the step goes by the row's largest; the others are finer than that.
        largest = np.abs(true).max() if storage == "int16" else _largest_of_row(true)
        assert np.all(np.abs(read - true) <= 1.01 * error * largest)
        assert storage == "bfloat16" or not np.array_equal(read, true)


def _largest_of_row(values: NDArray[np.float32]) -> NDArray[np.float32]:
    largest: NDArray[np.float32] = np.abs(values).max(axis=tuple(range(1, values.ndim)), keepdims=True)
    return largest


def test_reads_the_bundled_model() -> None:
    weights = Ct2Weights(bundled())
    assert weights.spec == "WhisperSpec"
    assert weights["encoder/conv1/weight"].shape == (384, 80, 3)
    # The encoder's positions are sinusoids by definition: numbers read at a wrong place would not be.
    positions = weights.dequantised("encoder/position_encodings/encodings")
    steps = np.exp(-np.log(10000) / 191 * np.arange(192))
    angles = np.arange(1500)[:, None] * steps
    expected = np.concatenate([np.sin(angles), np.cos(angles)], axis=1)
    np.testing.assert_allclose(positions, expected, atol=1e-3)
    assert np.shares_memory(weights["decoder/projection/weight"], weights["decoder/embeddings/weight"])


def test_refuses_a_file_cut_short_anywhere(
    tmp_path: Path, weight: NDArray[np.float32], kernel: NDArray[np.float32]
) -> None:
    file = write(tmp_path, weight, kernel, "int8") / "model.bin"
    whole = file.read_bytes()
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        with pytest.raises(EngineError, match="no CTranslate2 file"):
            Ct2Weights(tmp_path)


def test_refuses_another_version_and_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="missing or empty"):
        Ct2Weights(tmp_path)
    (tmp_path / "model.bin").write_bytes(struct.pack("<I", 5) + bytes(100))
    with pytest.raises(EngineError, match="version is 5, not 6"):
        Ct2Weights(tmp_path)


def test_refuses_a_size_that_does_not_fit_the_shape(
    tmp_path: Path, weight: NDArray[np.float32], kernel: NDArray[np.float32]
) -> None:
    file = write(tmp_path, weight, kernel, "float32") / "model.bin"
    data = file.read_bytes()
    shape = struct.pack("<II", 5, 7)
    assert data.count(shape) == 1
    file.write_bytes(data.replace(shape, struct.pack("<II", 5, 700_000_000)))
    with pytest.raises(EngineError, match="size that do not fit"):
        Ct2Weights(tmp_path)
