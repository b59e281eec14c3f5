"""Models from the hub, against a local server that speaks its protocol."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from scriba.domain.cancel import CancelToken
from scriba.domain.errors import CancelledByUserError
from scriba.models.catalogue import Catalogue
from scriba.models.failures import DiskFullError, ModelSourceError
from scriba.models.sources import hub as hub_source
from scriba.models.sources.hub import HubSource
from scriba.models.sources.hub_client import HubClient
from scriba.models.store import ModelStore
from tests.models import weights
from tests.models.hub_server import COMMIT, Hub, etag_of, serving

READY = "Systran/faster-whisper-base.en"
CHECKPOINT = "openai/whisper-base.en"
NAME = "base.en"


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serving() as server:
        yield server


def _store(root: Path, hub: Hub, token: str | None = None) -> ModelStore:
    client = HubClient(endpoint=hub.endpoint, token=token, cache=root / "no-cache")
    catalogue = Catalogue(NAME, allow_hub_names=True)
    return ModelStore(root, catalogue, [HubSource(root / ".cache", client)])


def _kept(root: Path) -> list[Path]:
    return sorted(path for path in (root / ".cache" / "hub").rglob("*") if path.is_file())


def test_a_ctranslate2_repository(tmp_path: Path, hub: Hub, micro_ct2: Path, micro: weights.State) -> None:
    hub.add(READY, micro_ct2)
    hub.repositories[READY]["README.md"] = b"hello"
    said: list[tuple[int, int | None, str]] = []
    model = _store(tmp_path, hub).ensure(NAME, progress=lambda *step: said.append(step))
    weights.assert_same_weights(model.path / "model.bin", micro)
    assert model.source == f"hub ({READY})"
    assert not (model.path / "README.md").exists()
    assert json.loads((model.path / "scriba.json").read_text())["origin"]["commit"] == COMMIT
    total = sum(len(data) for name, data in hub.repositories[READY].items() if name != "README.md")
    counts = [done for done, _, _ in said]
    assert counts == sorted(counts)
    assert said[-1] == (total, total, "downloading")
    assert _kept(tmp_path) == []


def test_genuine_weights_through_the_hub(tmp_path: Path, hub: Hub, bundled: Path) -> None:
    hub.add("Systran/faster-whisper-tiny.en", bundled)
    model = _store(tmp_path, hub).ensure("tiny.en")
    assert (model.path / "model.bin").read_bytes() == (bundled / "model.bin").read_bytes()


@pytest.mark.parametrize("form", ["whole", "sharded", "pickled"])
def test_a_checkpoint_is_converted_where_there_is_no_ready_model(
    tmp_path: Path, hub: Hub, micro: weights.State, bundled: Path, form: str
) -> None:
    folder = tmp_path / "hf"
    weights.write_huggingface(folder, micro, bundled / "tokenizer.json", shards=3 if form == "sharded" else 1)
    if form == "pickled":
        (folder / "model.safetensors").unlink()
        weights.write_torch(folder / "pytorch_model.bin", micro, openai=False)
    hub.add(CHECKPOINT, folder)
    hub.repositories[CHECKPOINT]["flax_model.msgpack"] = b"x" * 100
    model = _store(tmp_path / "models", hub).ensure(NAME)
    weights.assert_same_weights(model.path / "model.bin", micro)
    assert model.source == f"hub ({CHECKPOINT})"
    assert "flax_model.msgpack" not in hub.downloads()
    config = json.loads((model.path / "config.json").read_text())
    assert config["alignment_heads"] == [[1, 0]]  # base.en's own do not fit two layers


def test_any_repository_by_its_name(tmp_path: Path, hub: Hub, micro_ct2: Path) -> None:
    hub.add("someone/whisper-sv", micro_ct2)
    store = _store(tmp_path, hub)
    model = store.ensure("someone/whisper-sv")
    assert model.path.name == "someone--whisper-sv"
    assert store.find("someone/whisper-sv") == model
    assert [found.name for found in _store(tmp_path, hub).installed()] == ["someone/whisper-sv"]


def test_a_download_that_breaks_goes_on(tmp_path: Path, hub: Hub, micro_ct2: Path) -> None:
    hub.add(READY, micro_ct2)
    hub.break_after = 2_000_000
    model = _store(tmp_path, hub).ensure(NAME)
    assert (model.path / "model.bin").read_bytes() == (micro_ct2 / "model.bin").read_bytes()
    ranges = [wanted for _, path, wanted in hub.requests if path.endswith("model.bin") and wanted]
    assert len(ranges) == 1
    assert ranges[0] is not None
    assert 1_500_000 < int(ranges[0].removeprefix("bytes=").removesuffix("-")) <= 2_000_000


def test_a_cancelled_download_is_resumed_by_the_next(tmp_path: Path, hub: Hub, micro_ct2: Path) -> None:
    hub.add(READY, micro_ct2)
    cancel = CancelToken()

    def stop(done: int, _total: int | None, _what: str) -> None:
        if done > 1_500_000:
            cancel.cancel()

    with pytest.raises(CancelledByUserError):
        _store(tmp_path, hub).ensure(NAME, progress=stop, cancel=cancel)
    kept = max(path.stat().st_size for path in _kept(tmp_path))
    assert kept > 1_000_000
    hub.requests.clear()
    model = _store(tmp_path, hub).ensure(NAME)
    assert (model.path / "model.bin").read_bytes() == (micro_ct2 / "model.bin").read_bytes()
    ranges = [wanted for _, path, wanted in hub.requests if path.endswith("model.bin") and wanted]
    assert ranges == [f"bytes={kept}-"]


@pytest.mark.parametrize("name", ["model.bin", "config.json"])
def test_a_file_with_another_hash_is_deleted_and_named(
    tmp_path: Path, hub: Hub, micro_ct2: Path, name: str
) -> None:
    hub.add(READY, micro_ct2)
    hub.corrupt.add(name)
    with pytest.raises(ModelSourceError, match=f"{name} does not have the hash"):
        _store(tmp_path, hub).ensure(NAME)
    assert etag_of(hub.repositories[READY][name]) not in [path.name for path in _kept(tmp_path)]
    assert _store(tmp_path, hub).installed() == []
    hub.corrupt.clear()
    assert _store(tmp_path, hub).ensure(NAME).name == NAME
    assert _kept(tmp_path) == []


def test_a_gated_repository_wants_a_token(tmp_path: Path, hub: Hub, micro_ct2: Path) -> None:
    hub.add(READY, micro_ct2)
    hub.gated.add(READY)
    with pytest.raises(ModelSourceError, match="gated: accept its licence on the hub, and set HF_TOKEN"):
        _store(tmp_path, hub).ensure(NAME)
    assert _store(tmp_path, hub, token=hub.token).ensure(NAME).name == NAME
    assert hub.token in hub.tokens


def test_what_the_hub_does_not_have(tmp_path: Path, hub: Hub, micro_ct2: Path) -> None:
    with pytest.raises(ModelSourceError, match="no such model, or it is private"):
        _store(tmp_path, hub).ensure(NAME)
    hub.add(READY, micro_ct2, "config.json")
    with pytest.raises(ModelSourceError, match="no Whisper model in a known form"):
        _store(tmp_path, hub).ensure(NAME)


def test_a_hub_that_is_ill(tmp_path: Path, hub: Hub) -> None:
    hub.status = 503
    with pytest.raises(ModelSourceError, match="hub: the hub answered with the error 503") as failed:
        _store(tmp_path, hub).ensure(NAME)
    assert "127.0.0.1" not in failed.value.message


def test_a_closed_network_fails_in_seconds(tmp_path: Path) -> None:
    with socket.socket() as port:
        port.bind(("127.0.0.1", 0))
        hub = Hub(endpoint=f"http://127.0.0.1:{port.getsockname()[1]}")
        started = time.monotonic()
        with pytest.raises(ModelSourceError, match="could not be reached"):
            _store(tmp_path, hub).ensure(NAME)
        assert time.monotonic() - started < 5


def test_a_network_that_swallows_everything_fails_in_seconds(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hub = Hub(endpoint=f"http://127.0.0.1:{silent.getsockname()[1]}")
        started = time.monotonic()
        with pytest.raises(ModelSourceError, match="did not answer in time"):
            _store(tmp_path, hub).ensure(NAME)
        assert time.monotonic() - started < 12


def test_what_other_programs_put_into_the_hubs_cache_is_used_in_place(
    tmp_path: Path, hub: Hub, micro_ct2: Path
) -> None:
    snapshot = tmp_path / "cache" / "models--Systran--faster-whisper-base.en" / "snapshots" / COMMIT
    shutil.copytree(micro_ct2, snapshot)
    refs = snapshot.parents[1] / "refs"
    refs.mkdir()
    (refs / "main").write_text(COMMIT)
    client = HubClient(endpoint=hub.endpoint, cache=tmp_path / "cache")
    store = ModelStore(tmp_path / "models", Catalogue(NAME), [HubSource(tmp_path / "x", client)])
    model = store.find(NAME)
    assert model is not None
    assert model.path == snapshot
    assert hub.requests == []
    (snapshot / "model.bin").unlink()
    assert store.find(NAME) is None


def test_a_full_disk_while_downloading(
    tmp_path: Path, hub: Hub, micro_ct2: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add(READY, micro_ct2)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(ModelSourceError, match="disk is too full"):
        _store(tmp_path, hub).ensure(NAME)
    assert hub.downloads() == []


_SCRIPT = """
import sys
from pathlib import Path
from scriba.models.catalogue import Catalogue
from scriba.models.sources.order import build_sources
from scriba.models.store import ModelStore
root = Path(sys.argv[1])
store = ModelStore(root, Catalogue("base.en"), build_sources(root, ["hub"]))
try:
    print(store.ensure("base.en").path)
except Exception as error:
    print(type(error).__name__, error)
"""


def _in_a_process(root: Path, home: Path, **environment: str) -> str:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, str(root)],
        env=clean | {"HF_HOME": str(home)} | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.strip()


def test_the_environment_that_hub_users_know_is_honoured(tmp_path: Path, hub: Hub, micro_ct2: Path) -> None:
    hub.add(READY, micro_ct2)
    hub.gated.add(READY)
    home = tmp_path / "home"
    said = _in_a_process(tmp_path / "a", home, HF_ENDPOINT=hub.endpoint, HF_HUB_OFFLINE="1")
    assert "the hub may not be asked, since HF_HUB_OFFLINE is set" in said
    assert hub.requests == []
    home.mkdir(exist_ok=True)
    (home / "token").write_text("hf_secret")
    assert _in_a_process(tmp_path / "b", home, HF_ENDPOINT=hub.endpoint).endswith("base.en")
    snapshot = home / "hub" / "models--Systran--faster-whisper-base.en" / "snapshots" / COMMIT
    shutil.copytree(micro_ct2, snapshot)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text(COMMIT)
    offline = _in_a_process(tmp_path / "c", home, HF_ENDPOINT=hub.endpoint, HF_HUB_OFFLINE="1")
    assert offline == str(snapshot)


def test_a_checkpoint_that_arrived_is_not_fetched_again_after_a_failure(
    tmp_path: Path, hub: Hub, micro: weights.State, bundled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add(CHECKPOINT, weights.write_huggingface(tmp_path / "hf", micro, bundled / "tokenizer.json"))

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(hub_source, "convert", full)
        with pytest.raises(DiskFullError):
            _store(tmp_path / "models", hub).ensure(NAME)
    hub.requests.clear()
    _store(tmp_path / "models", hub).ensure(NAME)
    assert hub.downloads() == []


def test_cancel_is_heard_while_the_hub_is_silent(tmp_path: Path) -> None:
    cancel = CancelToken()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hub = Hub(endpoint=f"http://127.0.0.1:{silent.getsockname()[1]}")
        threading.Timer(0.3, cancel.cancel).start()
        started = time.monotonic()
        with pytest.raises(CancelledByUserError):
            _store(tmp_path, hub).ensure(NAME, cancel=cancel)
        assert time.monotonic() - started < 1.3


def test_a_hostile_checkpoint_on_the_hub_is_refused(tmp_path: Path, hub: Hub, bundled: Path) -> None:
    marker = tmp_path / "ran"
    folder = tmp_path / "evil"
    folder.mkdir()
    data = f"cposix\nsystem\n(S'touch {marker}'\ntR.".encode()
    weights.write_torch_zip(folder / "pytorch_model.bin", data, {"0": np.zeros(400_000).tobytes()})
    shutil.copy(bundled / "tokenizer.json", folder)
    hub.add(CHECKPOINT, folder)
    with pytest.raises(ModelSourceError, match=r"asks to run posix.system"):
        _store(tmp_path / "models", hub).ensure(NAME)
    assert not marker.exists()
