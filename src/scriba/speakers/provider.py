"""The networks, brought and loaded when they are first needed, and let go when they are not used for long."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from scriba.domain.cancel import CancelToken
from scriba.domain.errors import ModelUnavailableError
from scriba.models.residency import Residency
from scriba.models.speaker_model import NAME, SpeakerModel, SpeakerModelStore
from scriba.speakers.networks import Networks, OnnxNetworks

log = structlog.get_logger(__name__)

MEMORY_BYTES = 150_000_000
"""Estimate of main memory while loaded."""
_FAILURE_SECONDS = 60.0
"""How long a model that could not be fetched is not asked for again."""


class ResidentNetworks:
    """Implements ``scriba.speakers.diarizer.NetworkProvider``.

    Args:
        may_fetch: whether a request may bring the model where it is not installed.
    """

    def __init__(
        self,
        store: SpeakerModelStore,
        residency: Residency[OnnxNetworks],
        *,
        may_fetch: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._residency = residency
        self._may_fetch = may_fetch
        self._clock = clock
        self._failure: tuple[float, ModelUnavailableError] | None = None

    @contextmanager
    def acquire(self, cancel: CancelToken) -> Iterator[Networks]:
        model = self._bring(cancel)
        with self._residency.acquire(NAME, lambda: OnnxNetworks(model.path), MEMORY_BYTES) as networks:
            yield networks

    def _bring(self, cancel: CancelToken) -> SpeakerModel:
        found = self._store.find()
        if found is not None:
            return found
        if not self._may_fetch:
            raise ModelUnavailableError(
                f"Telling speakers apart needs the model {NAME!r}, which is not installed, and this server "
                f"fetches none on request. Its operator can bring it with: scriba models pull {NAME}",
                field="model",
            )
        if self._failure is not None and self._clock() < self._failure[0]:
            raise self._failure[1]
        try:
            return self._store.ensure(cancel=cancel)
        except ModelUnavailableError as error:
            self._failure = (self._clock() + _FAILURE_SECONDS, error)
            log.warning("model cannot be had", model=NAME, why=error.message)
            raise
