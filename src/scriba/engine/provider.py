"""Engines by model name: resolved, fetched, loaded once, shared and given back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from scriba.domain.cancel import CancelToken
from scriba.domain.errors import LanguageNotServedError, ModelNotFoundError, ModelUnavailableError
from scriba.domain.language import language_name
from scriba.domain.transcript import Task
from scriba.engine.port import Engine
from scriba.models.catalogue import Catalogue, CatalogueEntry
from scriba.models.installed import InstalledModel
from scriba.models.residency import Residency
from scriba.models.store import ModelStore

log = structlog.get_logger(__name__)

EngineLoader = Callable[[InstalledModel], Engine]


class ResidentEngines:
    """Implements ``scriba.engine.port.EngineProvider`` on a model store and a residency."""

    def __init__(
        self,
        catalogue: Catalogue,
        store: ModelStore,
        residency: Residency[Engine],
        load: EngineLoader,
        *,
        may_fetch: bool,
        fallback: str | None = None,
    ) -> None:
        """
        Args:
            load: builds an engine; called once for each model that is not loaded.
            may_fetch: whether a request may bring a model that is not installed.
            fallback: the model to use when the default one can't be had.
        """
        self._catalogue = catalogue
        self._store = store
        self._residency = residency
        self._load = load
        self._may_fetch = may_fetch
        self._fallback = fallback

    @contextmanager
    def acquire(
        self,
        model: str | None,
        *,
        language: str | None = None,
        task: Task = Task.TRANSCRIBE,
        cancel: CancelToken | None = None,
    ) -> Iterator[Engine]:
        installed = self._choose(model, language, task, cancel)
        memory = self._catalogue.resolve(installed.name).memory_bytes
        with self._residency.acquire(installed.name, lambda: self._load(installed), memory) as engine:
            yield engine

    def _choose(
        self, model: str | None, language: str | None, task: Task, cancel: CancelToken | None
    ) -> InstalledModel:
        entry = self._catalogue.resolve(model)
        suited = self._suited(entry, language, task)
        try:
            return self._bring(suited, cancel)
        except (ModelUnavailableError, ModelNotFoundError) as error:
            if suited is not entry:
                raise _not_served(entry, suited, language, task) from error
            default = self._catalogue.resolve(None)
            if self._fallback is None or entry.name != default.name:
                raise
            substitute = self._catalogue.resolve(self._fallback)
            log.warning(
                "default model unavailable", model=entry.name, using=substitute.name, why=error.message
            )
            if self._suited(substitute, language, task) is not substitute:
                raise _not_served(substitute, entry, language, task) from error
            return self._bring(substitute, cancel)

    def _suited(self, entry: CatalogueEntry, language: str | None, task: Task) -> CatalogueEntry:
        """The model itself, or its multilingual sibling where it can't do what is asked."""
        speaks = entry.multilingual or language in (None, "en")
        if speaks and (task is Task.TRANSCRIBE or entry.translates):
            return entry
        sibling = self._catalogue.multilingual_sibling(entry)
        if sibling is None or (task is Task.TRANSLATE and not sibling.translates):
            raise _not_served(entry, None, language, task)
        return sibling

    def _bring(self, entry: CatalogueEntry, cancel: CancelToken | None) -> InstalledModel:
        found = self._store.find(entry.name)
        if found is not None:
            return found
        if not self._may_fetch:
            raise ModelUnavailableError(
                f"The model {entry.name!r} is not installed, and this server fetches none on request. "
                f"Its operator can bring it with: scriba models pull {entry.name}",
                field="model",
            )
        return self._store.ensure(entry.name, cancel=cancel)


def _not_served(
    entry: CatalogueEntry, sibling: CatalogueEntry | None, language: str | None, task: Task
) -> LanguageNotServedError:
    if task is Task.TRANSLATE:
        lack = f"The model {entry.name!r} cannot translate"
    else:
        lack = f"The model {entry.name!r} speaks English only, not {language_name(language or 'en').title()}"
    remedy = (
        f", and {sibling.name!r}, which can, is not installed: scriba models pull {sibling.name}"
        if sibling
        else ". Choose a multilingual model, such as 'base' or 'small'."
    )
    return LanguageNotServedError(lack + remedy, field="language" if task is Task.TRANSCRIBE else "model")
