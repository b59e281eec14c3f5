"""Where a transcription that was broken off may go on."""

from __future__ import annotations

from dataclasses import dataclass

from scriba.domain.transcript import Segment, Suppressed


@dataclass(frozen=True, slots=True)
class HeardWindow:
    """A window that was heard before the ones before it were finished. ``text`` is for whoever heard it."""

    number: int
    language: str
    text: str


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """Everything behind which the first ``windows`` windows of a recording are finished.

    A transcription with the same recording, options and model that begins here ends as one that was never
    broken off. ``ResumePoint()`` is the beginning.

    ``language`` and ``probability`` are the last window's; ``probabilities`` those each language was first
    heard with. ``previous`` are tokens that the next window is shown; ``recent`` the texts by which a loop is
    seen. ``ahead`` are windows behind the point that need not be heard again.
    """

    windows: int = 0
    segments: tuple[Segment, ...] = ()
    suppressed: tuple[Suppressed, ...] = ()
    language: str | None = None
    probability: float = 0.0
    probabilities: tuple[tuple[str, float], ...] = ()
    previous: tuple[int, ...] = ()
    recent: tuple[str, ...] = ()
    ahead: tuple[HeardWindow, ...] = ()
