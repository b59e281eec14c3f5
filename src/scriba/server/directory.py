"""Which models clients see: those that are here, and the other names they answer to."""

from __future__ import annotations

from collections.abc import Container, Sequence

from scriba.domain.errors import ModelNotFoundError
from scriba.doors.context import ModelCard
from scriba.models.catalogue import Catalogue
from scriba.models.installed import InstalledModel
from scriba.models.store import ModelStore


class InstalledModels:
    """Implements ``scriba.doors.context.ModelDirectory`` on the catalogue and the store."""

    def __init__(self, catalogue: Catalogue, store: ModelStore, fallback: str | None) -> None:
        self._catalogue = catalogue
        self._store = store
        self._fallback = fallback

    def models(self) -> Sequence[ModelCard]:
        here = {model.name: model for model in self._store.installed()}
        cards = [_card(name, model) for name, model in here.items()]
        for alias in self._catalogue.aliases:
            model = here.get(self._serving(alias, here))
            if model is not None:
                cards.append(_card(alias, model))
        return cards

    def find(self, name: str) -> ModelCard | None:
        try:
            entry = self._catalogue.resolve(name)
            model = self._store.find(entry)
            if model is None and entry.name == self._catalogue.default.name and self._fallback is not None:
                model = self._store.find(self._fallback)
        except ModelNotFoundError:
            return None
        return _card(name, model) if model is not None else None

    def check(self, name: str | None) -> None:
        self._catalogue.resolve(name)

    def _serving(self, alias: str, here: Container[str]) -> str:
        """The model that answers to an alias: the fallback, where the default is not here."""
        name = self._catalogue.resolve(alias).name
        if name in here or self._fallback is None or name != self._catalogue.default.name:
            return name
        return self._catalogue.resolve(self._fallback).name


def _card(name: str, model: InstalledModel) -> ModelCard:
    try:
        created = int((model.path / "model.bin").stat().st_mtime)
    except OSError:
        created = 0
    return ModelCard(name, created, model.source)
