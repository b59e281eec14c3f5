"""What holds for every test: nothing of the person's own settings, models and caches is read or written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests import speech


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No ``SCRIBA_*`` setting of the person who runs the tests, no hub, no data of theirs."""
    for name in list(os.environ):
        if name.startswith("SCRIBA_"):
            monkeypatch.delenv(name)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setenv("SCRIBA_DATA_DIR", str(tmp_path_factory.getbasetemp() / "data"))


@pytest.fixture(scope="session")
def two_cities() -> Path:
    """44.4 s of real English speech (``tests.speech.two_cities``)."""
    return speech.two_cities()


@pytest.fixture(scope="session")
def beckett() -> Path:
    """10 s of real English speech (``tests.speech.beckett``)."""
    return speech.beckett()


@pytest.fixture
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that the test runs in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
