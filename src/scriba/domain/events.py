"""What a running transcription tells, in order, as it goes."""

from __future__ import annotations

from dataclasses import dataclass

from scriba.domain.resume import HeardWindow, ResumePoint
from scriba.domain.transcript import Segment, Suppressed, Transcript


@dataclass(frozen=True, slots=True)
class LanguageDetected:
    """The language that following segments are in. Sent once at first, and again when it changes."""

    language: str
    probability: float


@dataclass(frozen=True, slots=True)
class SegmentReady:
    """A segment that is final."""

    segment: Segment


@dataclass(frozen=True, slots=True)
class TextSuppressed:
    """Text that was withheld."""

    suppressed: Suppressed


@dataclass(frozen=True, slots=True)
class Progress:
    """``done`` seconds of the recording are finished, of ``total``.

    ``total`` is what the header says until the end of the file has been seen, and then the truth; None where
    the header does not say.
    """

    done: float
    total: float | None


@dataclass(frozen=True, slots=True)
class WindowFinished:
    """A stretch of the recording is finished; told only to who asked to be able to go on behind it."""

    point: ResumePoint


@dataclass(frozen=True, slots=True)
class WindowHeard:
    """A window was heard, and waits for those before it; told as ``WindowFinished`` is."""

    window: HeardWindow


@dataclass(frozen=True, slots=True)
class Finished:
    """The last event of a transcription that succeeded."""

    transcript: Transcript


Event = LanguageDetected | SegmentReady | TextSuppressed | Progress | WindowHeard | WindowFinished | Finished
