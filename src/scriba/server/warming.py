"""Making the default model ready: fetched when it is not here, then loaded."""

from __future__ import annotations

import time

import structlog

from scriba.audio.vad import SpeechProbability
from scriba.domain.cancel import CancelToken
from scriba.domain.errors import ModelNotFoundError, ModelUnavailableError
from scriba.engine.port import EngineProvider
from scriba.engine.warming import warm_up
from scriba.models.catalogue import Catalogue
from scriba.models.store import ModelStore

_LOG_SECONDS = 5.0
log = structlog.get_logger(__name__)


class ModelWarmer:
    """Implements ``scriba.server.readiness.Warm``."""

    def __init__(
        self, catalogue: Catalogue, store: ModelStore, engines: EngineProvider, fallback: str | None
    ) -> None:
        self._catalogue = catalogue
        self._store = store
        self._engines = engines
        self._fallback = fallback

    def __call__(self, cancel: CancelToken) -> str:
        """Fetch and load the default model, or else the fallback; the name of the one that is loaded.

        Raises:
            ModelUnavailableError: neither can be had.
        """
        default = self._catalogue.default.name
        try:
            self._fetch(default, cancel)
        except (ModelUnavailableError, ModelNotFoundError) as error:
            if self._fallback is None:
                raise
            log.warning("model not available", model=default, using=self._fallback, why=error.message)
            self._fetch(self._fallback, cancel)
        cancel.check()
        with self._engines.acquire(None, cancel=cancel) as engine:
            warm_up(engine)
            SpeechProbability().flush()  # its network is loaded with the first recording otherwise
            return engine.model

    def _fetch(self, name: str, cancel: CancelToken) -> None:
        if self._store.find(name) is None:
            log.info("fetching model", model=name)
            self._store.pull(name, progress=_Progress(name), cancel=cancel)


class _Progress:
    """A line in the log now and then, and at every new step."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._step = ""
        self._next = 0.0

    def __call__(self, done: int, total: int | None, what: str) -> None:
        now = time.monotonic()
        if what == self._step and now < self._next:
            return
        self._step, self._next = what, now + _LOG_SECONDS
        percent = f"{100 * done // total}%" if total else None
        log.info("fetching model", model=self._model, step=what, done=percent)
