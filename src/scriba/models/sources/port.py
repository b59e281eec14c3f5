"""What the store asks of a place that has models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from scriba.domain.cancel import CancelToken
from scriba.models.catalogue import CatalogueEntry
from scriba.models.files import ProgressCallback


@dataclass(frozen=True, slots=True)
class FetchedModel:
    """What a source put into the directory it was given.

    ``origin`` says exactly what was taken: package or repository, version or commit, and hashes.
    """

    source: str
    origin: Mapping[str, str] = field(default_factory=dict)


class Source(Protocol):
    """One place. ``name`` is what settings and messages call it."""

    @property
    def name(self) -> str: ...

    def offers(self, entry: CatalogueEntry) -> bool:
        """Whether it is worth asking. Never touches the network."""
        ...

    def locate(self, entry: CatalogueEntry) -> Path | None:
        """A complete CTranslate2 directory that is on this machine already and can be used where it lies.

        Never touches the network.
        """
        ...

    def fetch(
        self,
        entry: CatalogueEntry,
        into: Path,
        progress: ProgressCallback,
        cancel: CancelToken | None,
    ) -> FetchedModel:
        """Fill the empty directory ``into`` with a CTranslate2 model.

        What arrived of an interrupted download is kept elsewhere, and used the next time.

        Raises:
            ModelUnavailableError: with what happened, and what to do.
            CancelledByUserError: ``cancel`` was set.
        """
        ...
