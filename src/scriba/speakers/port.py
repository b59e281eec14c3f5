"""What others know of telling speakers apart: a recording and a wish in, turns out."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, Protocol, TypeVar

from scriba.domain.cancel import CancelToken
from scriba.domain.speakers import SpeakerOptions, SpeakerTurn
from scriba.speakers.networks import Networks

T = TypeVar("T")

Source = Path | BinaryIO
"""A file of our own naming, or a seekable binary stream."""
Tell = Callable[[float, float | None], None]
"""Gets the seconds that are done and the seconds the header promises."""


class Steps(Protocol):
    """Where inference is done, step by step, beside what others have to do.

    A step is short (a fraction of a second), so that whoever shares the machine can let others go first.
    """

    @property
    def width(self) -> int:
        """Steps worth having under way at once."""
        ...

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Have ``work`` done on another thread."""
        ...


class Diarizer(Protocol):
    """Finds out who speaks when (adapters: ``scriba.speakers.diarizer``, ``scriba.speakers.pyannote``)."""

    def run(
        self, source: Source, options: SpeakerOptions, steps: Steps, cancel: CancelToken, tell: Tell
    ) -> list[SpeakerTurn]:
        """Turns in order of start; empty where nobody speaks.

        Blocking. Speakers are ``SPEAKER_00`` and on in order of first speaking, or have the name they
        are known by.

        Raises:
            ScribaError: the medium, a clip of a known speaker or the model is at fault, or the work was
                cancelled.
        """
        ...


class NetworkProvider(Protocol):
    """Has the networks, or brings them."""

    def acquire(self, cancel: CancelToken) -> AbstractContextManager[Networks]:
        """
        Raises:
            ModelUnavailableError: they cannot be had.
        """
        ...
