"""The models on this machine: finding, fetching, adding and removing them.

Layout: ``<root>/<name>/`` holds a CTranslate2 model and ``scriba.json``; ``<root>/.incoming`` what is being
made, ``<root>/.cache`` what was downloaded for it, ``<root>/.locks`` one lock for each model. A directory
appears under its name by one rename, when it is whole.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from scriba.domain.cancel import CancelToken
from scriba.domain.errors import InvalidOptionError, ModelNotFoundError, ModelUnavailableError
from scriba.models.catalogue import Catalogue, CatalogueEntry
from scriba.models.convert.state import ConversionError
from scriba.models.failures import DiskFullError, NotWritableError, disk_errors, no_source
from scriba.models.files import ProgressCallback, no_progress, sha256_of
from scriba.models.installed import InstalledModel, Note, describe, entry_of, is_complete, read_note
from scriba.models.sources.folder import FolderSource, fill_from_path
from scriba.models.sources.port import FetchedModel, Source
from scriba.models.workspace import Workspace

_NAME = re.compile(r"^[A-Za-z0-9][\w.-]{0,63}$", re.ASCII)
Fill = Callable[[Path, ProgressCallback, CancelToken | None], FetchedModel]


class ModelStore:
    """One models directory. Safe to use from several threads and processes at once.

    Args:
        root: made when it is first needed.
        catalogue: knows the names; models that only this machine has are added to it.
        sources: asked in this order.
        folders: models of the operator, by name: a CTranslate2 directory (used in place), a Hugging Face
            directory or an OpenAI ``.pt`` file (converted when first needed).
    """

    def __init__(
        self,
        root: Path,
        catalogue: Catalogue,
        sources: Sequence[Source],
        folders: Mapping[str, Path] | None = None,
    ) -> None:
        self._root = root
        self._work = Workspace(root)
        self._catalogue = catalogue
        own = FolderSource(dict(folders or {}), lambda: [model.path for model in self.installed()])
        self._sources: tuple[Source, ...] = (own, *sources) if folders else tuple(sources)
        for name in folders or {}:
            self._catalogue.add(own.entry(name, self._known(name)))
        for model in self._in_root():
            if self._known(model.name) is None:
                self._catalogue.add(entry_of(model))

    @property
    def root(self) -> Path:
        return self._root

    def installed(self) -> list[InstalledModel]:
        """Everything that can be loaded now without fetching: in the directory first, then in place."""
        models = {model.name: model for model in self._in_root()}
        for entry in self._catalogue.entries():
            if entry.name not in models:
                model = self._in_place(entry)
                if model is not None:
                    models[entry.name] = model
        return sorted(models.values(), key=lambda model: model.name)

    def find(self, model: CatalogueEntry | str | None) -> InstalledModel | None:
        """The model if it is here. Never touches the network.

        Raises:
            ModelNotFoundError: the catalogue does not know the name.
        """
        entry = model if isinstance(model, CatalogueEntry) else self._catalogue.resolve(model)
        return self._read(self._work.directory(entry.name), entry) or self._in_place(entry)

    def sources_of(self, model: CatalogueEntry | str | None) -> list[str]:
        """Names of the sources worth asking for it, in order. Never touches the network."""
        entry = model if isinstance(model, CatalogueEntry) else self._catalogue.resolve(model)
        return [source.name for source in self._sources if source.offers(entry)]

    def ensure(
        self,
        model: CatalogueEntry | str | None,
        *,
        progress: ProgressCallback | None = None,
        cancel: CancelToken | None = None,
    ) -> InstalledModel:
        """The model, fetched first if need be. Blocks; raises what ``find`` and ``pull`` raise."""
        return self.find(model) or self.pull(model, progress=progress, cancel=cancel)

    def pull(
        self,
        model: CatalogueEntry | str | None,
        source: str | None = None,
        *,
        again: bool = False,
        progress: ProgressCallback | None = None,
        cancel: CancelToken | None = None,
    ) -> InstalledModel:
        """Fetch a model and install it; one that is installed stays, unless ``again``.

        Args:
            source: the name of the only source to ask; None asks all, in order.

        Raises:
            ModelNotFoundError: the name is unknown.
            InvalidOptionError: there is no such source, or the model is here from another one.
            ModelUnavailableError: disk full, bad hash, or no source could give it: the message tells all.
            CancelledByUserError: ``cancel`` was set.
        """
        entry = model if isinstance(model, CatalogueEntry) else self._catalogue.resolve(model)
        if source is not None and source not in {known.name for known in self._sources}:
            known_names = ", ".join(known.name for known in self._sources)
            raise InvalidOptionError(f"source must be one of {known_names}, not {source!r}.", field="source")
        if not again:
            present = (
                self.find(entry) if source is None else self._read(self._work.directory(entry.name), entry)
            )
            if present is not None:
                return _from(present, source)
        chosen = [known for known in self._sources if source in (None, known.name)]

        def fill(into: Path, report: ProgressCallback, token: CancelToken | None) -> FetchedModel:
            return _first_that_can(chosen, entry, into, report, token)

        return self._install(entry.name, entry, fill, again=again, progress=progress, cancel=cancel)

    def add_folder(self, path: Path, name: str) -> InstalledModel:
        """Make a CTranslate2 directory known under ``name`` and use it where it lies.

        Raises:
            InvalidOptionError: the name cannot be a model's name.
            ConversionError: the directory is no complete CTranslate2 model.
        """
        _require_name(name)
        folder = path.expanduser().resolve()
        source = "folder"
        model = describe(folder, name, source, self._known(name))
        with disk_errors(self._root), self._work.lock(name, None), self._work.making(name) as made:
            Note(name, source, folder=str(folder)).write(made)
            self._work.publish(made, name)
        self._learn(model)
        return model

    def convert(
        self,
        path: Path,
        name: str,
        *,
        again: bool = False,
        progress: ProgressCallback | None = None,
        cancel: CancelToken | None = None,
    ) -> InstalledModel:
        """Install a copy of a model from a path: Hugging Face directory, OpenAI ``.pt``, or CTranslate2.

        Raises:
            InvalidOptionError: the name cannot be a model's name, or a model has it (unless ``again``).
            ModelUnavailableError: the weights cannot be converted, or the disk is full.
        """
        _require_name(name)
        if not again and self._read(self._work.directory(name), self._known(name)) is not None:
            raise InvalidOptionError(
                f"A model named {name!r} is installed. Choose another name, or replace it with --again.",
                field="name",
            )
        origin = path.expanduser()

        def fill(into: Path, report: ProgressCallback, token: CancelToken | None) -> FetchedModel:
            tokenizers = [model.path for model in self.installed()]
            return fill_from_path(origin, into, name, tokenizers, report, token)

        return self._install(name, self._known(name), fill, again=True, progress=progress, cancel=cancel)

    def remove(self, model: str) -> None:
        """Delete an installed model. One that lives in a folder of the operator is only forgotten.

        Raises:
            ModelNotFoundError: it is not installed.
            InvalidOptionError: it belongs to somebody else: the bundled wheel, the hub's cache, the settings.
        """
        entry = self._catalogue.resolve(model)
        target = self._work.directory(entry.name)
        if not target.is_dir():
            if self._in_place(entry) is not None:
                raise InvalidOptionError(
                    f"The model {entry.name!r} does not lie in the models directory: it came with an "
                    "installed package, "
                    "lies in the hub's cache, or is named in the settings. Remove it there.",
                    field="model",
                )
            raise ModelNotFoundError(f"The model {entry.name!r} is not installed.", field="model")
        with (
            disk_errors(self._root),
            self._work.lock(entry.name, None),
            self._work.making(entry.name) as grave,
        ):
            self._work.discard(entry.name, grave)

    def _install(
        self,
        name: str,
        entry: CatalogueEntry | None,
        fill: Fill,
        *,
        again: bool,
        progress: ProgressCallback | None,
        cancel: CancelToken | None,
    ) -> InstalledModel:
        report = progress or no_progress
        target = self._work.directory(name)
        with disk_errors(self._root), self._work.lock(name, cancel, report):
            # Another process may have fetched it while we waited for the lock.
            present = None if again else self._read(target, entry)
            if present is not None:
                return present
            with self._work.making(name) as made:
                fetched = fill(made, report, cancel)
                model = describe(made, name, fetched.source, entry)
                hashes = {"model.bin": sha256_of(made / "model.bin", cancel)}
                Note(name, fetched.source, hashes, fetched.origin).write(made)
                self._work.publish(made, name)
        installed = self._read(target, entry)
        if installed is None:
            raise ConversionError(f"The model {model.name!r} vanished while it was being installed.")
        self._learn(installed)
        return installed

    def _learn(self, model: InstalledModel) -> None:
        if self._known(model.name) is None:
            self._catalogue.add(entry_of(model))

    def _known(self, name: str) -> CatalogueEntry | None:
        return next((entry for entry in self._catalogue.entries() if entry.name == name), None)

    def _in_root(self) -> Iterator[InstalledModel]:
        if not self._root.is_dir():
            return
        for directory in sorted(self._root.iterdir()):
            if directory.name.startswith(".") or not directory.is_dir():
                continue
            note = read_note(directory)
            name = note.name if note is not None else directory.name
            model = self._read(directory, self._known(name))
            if model is not None:
                yield model

    def _read(self, directory: Path, entry: CatalogueEntry | None) -> InstalledModel | None:
        """The model in one directory of the root; None when there is none, or not a whole one."""
        note = read_note(directory)
        weights = Path(note.folder) if note is not None and note.folder is not None else directory
        if not is_complete(weights):
            return None
        name = entry.name if entry is not None else note.name if note is not None else directory.name
        try:
            return describe(weights, name, note.source if note is not None else "folder", entry)
        except (ConversionError, OSError):
            return None

    def _in_place(self, entry: CatalogueEntry) -> InstalledModel | None:
        for source in self._sources:
            try:
                directory = source.locate(entry)
                if directory is not None:
                    return describe(directory, entry.name, source.name, entry)
            except ModelUnavailableError:
                continue  # damaged: another source may do, and a pull will say what is wrong
        return None


def _first_that_can(
    sources: Sequence[Source],
    entry: CatalogueEntry,
    into: Path,
    report: ProgressCallback,
    cancel: CancelToken | None,
) -> FetchedModel:
    tried: list[tuple[str, ModelUnavailableError]] = []
    for source in sources:
        if not source.offers(entry):
            continue
        try:
            return source.fetch(entry, into, report, cancel)
        except (DiskFullError, NotWritableError):
            raise
        except ModelUnavailableError as error:
            tried.append((source.name, error))
            shutil.rmtree(into)
            into.mkdir()
    raise no_source(entry.name, tried)


def _from(present: InstalledModel, source: str | None) -> InstalledModel:
    if source is not None and present.source.split()[0] != source:
        raise InvalidOptionError(
            f"The model {present.name!r} is here already, from {present.source}. "
            f"To have it from {source} in its place, add --again.",
            field="source",
        )
    return present


def _require_name(name: str) -> None:
    if not _NAME.match(name):
        raise InvalidOptionError(
            "name must start with a letter or digit and hold only letters, digits, '.', '-' and '_' "
            f"(at most 64), not {name!r}.",
            field="name",
        )
