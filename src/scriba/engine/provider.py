"""Engines by model name: resolved, fetched, loaded once, shared and given back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from scriba.domain.cancel import CancelToken
from scriba.domain.errors import (
    LanguageNotServedError,
    ModelNotFoundError,
    ModelUnavailableError,
    ScribaError,
)
from scriba.domain.language import language_name
from scriba.domain.transcript import Task
from scriba.engine.port import Engine
from scriba.models.catalogue import Catalogue, CatalogueEntry
from scriba.models.installed import InstalledModel
from scriba.models.residency import Residency
from scriba.models.store import ModelStore

log = structlog.get_logger(__name__)

_FAILURE_SECONDS = 60.0
"""How long a model that could not be fetched is not asked for again."""

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
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            load: builds an engine; called once for each model that is not loaded.
            may_fetch: whether a request may bring a model that is not installed.
            fallback: the model to use when the default one can't be had.
        """
        self._clock = clock
        self._failures: dict[str, tuple[float, ModelUnavailableError]] = {}
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
            if language is not None and language not in engine.capabilities.languages:
                raise LanguageNotServedError(
                    f"The model {installed.name!r} does not know {language_name(language).title()}. "
                    "Choose another model.",
                    field="language",
                )
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
            if self._fallback is None or self._is_named(model):
                raise
            return self._substitute(entry, language, task, error)

    def _is_named(self, model: str | None) -> bool:
        """The caller asked for this very model, not for whatever the server has: then no other will do."""
        return model is not None and model.strip() not in self._catalogue.aliases

    def _substitute(
        self, entry: CatalogueEntry, language: str | None, task: Task, error: ScribaError
    ) -> InstalledModel:
        substitute = self._catalogue.resolve(self._fallback)
        suited = self._suited(substitute, language, task)
        installed = self._store.find(suited.name)
        if installed is None:
            raise _not_served(substitute, entry, language, task) from error
        return installed

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
        failed = self._failures.get(entry.name)
        if failed is not None and self._clock() < failed[0]:
            raise failed[1]
        try:
            return self._store.ensure(entry.name, cancel=cancel)
        except ModelUnavailableError as error:
            # A closed network is not asked again for every request: each attempt takes seconds.
            self._failures[entry.name] = (self._clock() + _FAILURE_SECONDS, error)
            log.warning("model cannot be had", model=entry.name, why=error.message)
            raise


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
