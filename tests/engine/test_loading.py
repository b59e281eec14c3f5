"""Which engine runs a model, and what happens where the preferred one cannot."""

from pathlib import Path

import pytest

from scriba.domain.errors import EngineError
from scriba.engine import loading
from scriba.engine.ctranslate2 import CTranslate2Engine, cuda_available
from scriba.engine.layout import Layout
from scriba.engine.loading import EngineKind, load_engine
from scriba.engine.openvino.runtime import openvino_available, openvino_worthwhile
from tests.speech import bundled

needs_openvino = pytest.mark.skipif(not openvino_available(), reason="openvino is not installed")


def load(path: Path | None = None, kind: str = "auto", compute_type: str = "auto") -> object:
    return load_engine(
        path or bundled(),
        model="tiny.en",
        translates=False,
        kind=EngineKind(kind),
        compute_type=compute_type,
        layout=Layout(1, 1),
    )


def test_takes_what_is_fastest_here() -> None:
    faster = openvino_worthwhile() and not cuda_available()
    assert isinstance(load(), CTranslate2Engine) is not faster


@pytest.mark.parametrize(("kind", "compute_type"), [("ctranslate2", "auto"), ("auto", "int8_float32")])
def test_ctranslate2_where_it_is_asked_for(kind: str, compute_type: str) -> None:
    assert isinstance(load(kind=kind, compute_type=compute_type), CTranslate2Engine)


@needs_openvino
def test_openvino_where_it_is_asked_for() -> None:
    assert not isinstance(load(kind="openvino"), CTranslate2Engine)


@needs_openvino
@pytest.mark.parametrize("kind", ["openvino", "auto"])
def test_a_folder_without_a_model_is_one_clear_error(tmp_path: Path, kind: str) -> None:
    with pytest.raises(EngineError) as caught:
        load(tmp_path, kind=kind)
    assert str(tmp_path) not in caught.value.message


def test_without_openvino_there_is_ctranslate2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "openvino_worthwhile", lambda: False)
    assert isinstance(load(), CTranslate2Engine)
