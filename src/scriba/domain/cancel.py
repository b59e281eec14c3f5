"""Telling running work to stop."""

from __future__ import annotations

import threading

from scriba.domain.errors import CancelledByUserError


class CancelToken:
    """Set once, from any thread; looked at by every loop that can take longer than a moment."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def cancel(self) -> None:
        """Ask the work to stop. Calling it again changes nothing."""
        self._event.set()

    @property
    def cancelled(self) -> bool:
        return self._event.is_set()

    def check(self) -> None:
        """Return at once while the work may go on.

        Raises:
            CancelledByUserError: ``cancel`` was called.
        """
        if self._event.is_set():
            raise CancelledByUserError("The work was cancelled.")

    def wait(self, seconds: float) -> bool:
        """Sleep for up to ``seconds``; True as soon as the work is cancelled."""
        return self._event.wait(seconds)
