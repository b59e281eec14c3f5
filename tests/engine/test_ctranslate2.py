"""What is the CTranslate2 adapter's own; what all engines do alike is in ``test_conformance``."""

from pathlib import Path

import pytest

from scriba.domain.errors import EngineError
from scriba.engine.ctranslate2 import CTranslate2Engine
from scriba.engine.layout import Layout
from scriba.engine.phrases import compression_ratio


def test_a_folder_without_a_model_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="could not be loaded") as caught:
        CTranslate2Engine(tmp_path, model="nothing")
    assert str(tmp_path) not in caught.value.message


@pytest.mark.parametrize(("workers", "threads"), [(0, 0), (1, 0), (0, 1), (3, 2)])
def test_layouts_fill_in_what_was_left_open(workers: int, threads: int) -> None:
    layout = Layout.for_machine(workers, threads)
    assert layout.workers == workers or workers == 0
    assert layout.threads == threads or threads == 0
    assert layout.workers >= 1
    assert layout.threads >= 1


def test_repeated_text_compresses_well() -> None:
    assert (
        compression_ratio("and so on " * 30) > 2.4 > compression_ratio("The quick brown fox jumps over it.")
    )
