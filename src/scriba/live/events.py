"""What a live session tells. Times are seconds from the start of its audio."""

from __future__ import annotations

from dataclasses import dataclass

from scriba.domain.speakers import SpeakerTurn
from scriba.domain.transcript import Segment, Suppressed, Word, join_segments


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """Somebody began to speak at ``at``."""

    at: float


@dataclass(frozen=True, slots=True)
class SpeechPaused:
    """Silence since ``at``; the utterance has ended."""

    at: float


@dataclass(frozen=True, slots=True)
class Flushed:
    """The client's flush has been carried out: all audio up to ``at`` is settled."""

    at: float


@dataclass(frozen=True, slots=True)
class Partial:
    """What seems to be said behind the last settled word. May change with the next event; may be empty."""

    start: float
    end: float
    text: str


@dataclass(frozen=True, slots=True)
class Settled:
    """Words that never change. Their texts keep the space before them: joined in order, all settled words of
    a session are its transcript."""

    words: tuple[Word, ...]
    language: str


@dataclass(frozen=True, slots=True)
class SegmentFinal:
    """A sentence or phrase is complete: its words are those settled since the segment before."""

    segment: Segment


@dataclass(frozen=True, slots=True)
class LanguageHeard:
    """The language of what follows."""

    language: str
    probability: float


@dataclass(frozen=True, slots=True)
class Withheld:
    """Text that the model produced and nobody said."""

    suppressed: Suppressed


@dataclass(frozen=True, slots=True)
class Lag:
    """The server is ``seconds`` of audio behind; told when that begins to matter and when it is over."""

    seconds: float


@dataclass(frozen=True, slots=True)
class SpeakersFound:
    """Who spoke when in the whole session, told when all of it was heard; what was told before is void."""

    turns: tuple[SpeakerTurn, ...]


@dataclass(frozen=True, slots=True)
class Refined:
    """The whole session heard once more as a recording: its transcript from then on, whatever was settled."""

    segments: tuple[Segment, ...]
    suppressed: tuple[Suppressed, ...]
    language: str | None
    probability: float

    @property
    def text(self) -> str:
        """As ``Transcript.text``."""
        return join_segments(self.segments)


LiveEvent = (
    SpeechStarted
    | SpeechPaused
    | Flushed
    | Partial
    | Settled
    | SegmentFinal
    | LanguageHeard
    | Withheld
    | Lag
    | SpeakersFound
    | Refined
)
DURABLE = (
    SpeechStarted,
    SpeechPaused,
    Flushed,
    Settled,
    SegmentFinal,
    LanguageHeard,
    Withheld,
    SpeakersFound,
    Refined,
)
"""Events that are numbered, kept, and sent again to a client that missed them."""
