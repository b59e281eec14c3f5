"""Whether the server can transcribe yet."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import structlog

from scriba.domain.cancel import CancelToken
from scriba.domain.errors import CancelledByUserError, ScribaError

log = structlog.get_logger(__name__)

Warm = Callable[[CancelToken], str]
"""Fetches and loads the default model; blocking; returns the name of the model that is loaded."""


class Readiness:
    """Loads the default model in the background, and says how far that has come."""

    def __init__(self, warm: Warm) -> None:
        self._warm = warm
        self._cancel = CancelToken()
        self.model: str | None = None
        self.reason: str | None = "The model is being loaded."
        self.settled = asyncio.Event()

    @property
    def ready(self) -> bool:
        return self.reason is None

    def start(self) -> None:
        """Begin to load, on a thread of its own. Call it on the event loop, once."""
        loop = asyncio.get_running_loop()

        def load() -> None:
            model: str | None = None
            reason: str | None = None
            try:
                model = self._warm(self._cancel)
            except CancelledByUserError:
                reason = "The server is shutting down."
            except ScribaError as error:
                reason = error.message
                log.warning("model not loaded", why=reason)
            except Exception:
                reason = "The model could not be loaded; the log has the cause."
                log.exception("model not loaded")
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._settle, model, reason)

        threading.Thread(target=load, name="scriba-warm", daemon=True).start()

    async def stop(self) -> None:
        """Stop loading, and wait until it has stopped."""
        self._cancel.cancel()
        await self.settled.wait()

    def _settle(self, model: str | None, reason: str | None) -> None:
        self.model, self.reason = model, reason
        self.settled.set()
