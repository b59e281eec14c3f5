"""What is made of the words that another server settles, and of the weights it is given."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from benchmarks.live_peers import TimedWord, _Told
from benchmarks.pytorch_weights import write_pytorch

from scriba.engine.ct2_weights import Ct2Weights
from scriba.models.convert.safetensors_file import read_safetensors
from tests.speech import bundled

KNOWN = [TimedWord("it", 1.0), TimedWord("was", 1.2), TimedWord("the", 1.4), TimedWord("best", 1.8)]


def test_a_words_lag_is_told_by_the_files_own_words() -> None:
    told = _Told()
    told.grow_to("It was", 2.0)
    told.grow_to("It was the", 3.0)
    told.grow_to("It was the", 4.0)  # nothing new
    told.grow_to("It was the beast.", 5.0)  # not in the file's text: its lag is not known
    heard = told.heard(KNOWN, "of")

    assert heard.text == "It was the beast. of"
    assert heard.lags == pytest.approx([1.0, 0.8, 1.6])


def test_weights_under_the_names_of_openai(tmp_path: Path) -> None:
    source = Ct2Weights(bundled())
    heads = write_pytorch(bundled(), tmp_path)
    tensors = read_safetensors(tmp_path / "model.safetensors")
    sizes = json.loads((tmp_path / "config.json").read_text())

    assert heads.startswith("ABzY8")  # as openai/whisper's own begin: a gzip header in base 85
    assert (sizes["n_vocab"], sizes["n_audio_state"], sizes["n_text_layer"]) == (51864, 384, 4)
    assert len(tensors) == 167  # of tiny.en
    query, key, _ = np.split(source.dequantised("encoder/layer_1/self_attention/linear_0/weight"), 3)
    np.testing.assert_array_equal(tensors["encoder.blocks.1.attn.query.weight"](), query)
    np.testing.assert_array_equal(tensors["encoder.blocks.1.attn.key.weight"](), key)
    assert "encoder.blocks.1.attn.key.bias" not in tensors
