"""Events of a session with their numbers, and how they are written down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from scriba.domain.speakers import SpeakerTurn
from scriba.domain.transcript import Segment, Suppressed, SuppressionReason, Word
from scriba.live.events import (
    Flushed,
    LanguageHeard,
    LiveEvent,
    Refined,
    SegmentFinal,
    Settled,
    SpeakersFound,
    SpeechPaused,
    SpeechStarted,
    Withheld,
)


@dataclass(frozen=True, slots=True)
class Finished:
    """The last event: everything was heard. ``duration`` is the seconds of audio that came."""

    duration: float


@dataclass(frozen=True, slots=True)
class Failed:
    """The last event of a session that could not go on; ``code`` and ``message`` are a ScribaError's."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """``received`` bytes (or the frame numbered ``frame`` and all before it) are safe on disk."""

    received: int
    frame: int | None


SessionEvent = LiveEvent | Finished | Failed | Acknowledged


@dataclass(frozen=True, slots=True)
class Numbered:
    """``seq`` counts the events that are kept, from 1. Others have that of the kept event before them."""

    seq: int
    event: SessionEvent
    kept: bool


def to_record(numbered: Numbered) -> dict[str, Any]:
    """As JSON of one line."""
    event = numbered.event
    return {"seq": numbered.seq, "event": type(event).__name__, **asdict(event)}


def from_record(record: Mapping[str, Any]) -> Numbered:
    return Numbered(int(record["seq"]), _event(record), kept=True)


def _event(record: Mapping[str, Any]) -> SessionEvent:
    match record["event"]:
        case "SpeechStarted":
            return SpeechStarted(record["at"])
        case "SpeechPaused":
            return SpeechPaused(record["at"])
        case "Flushed":
            return Flushed(record["at"])
        case "Settled":
            return Settled(words_of(record["words"]), record["language"])
        case "SegmentFinal":
            return SegmentFinal(_segment(record["segment"]))
        case "LanguageHeard":
            return LanguageHeard(record["language"], record["probability"])
        case "Withheld":
            return Withheld(_suppressed(record["suppressed"]))
        case "Refined":
            return Refined(
                tuple(_segment(own) for own in record["segments"]),
                tuple(_suppressed(own) for own in record["suppressed"]),
                record["language"],
                record["probability"],
            )
        case "SpeakersFound":
            return SpeakersFound(tuple(SpeakerTurn(**own) for own in record["turns"]))
        case "Finished":
            return Finished(record["duration"])
        case "Failed":
            return Failed(record["code"], record["message"])
        case other:
            raise ValueError(f"no event is named {other!r}")


def words_of(records: list[dict[str, Any]]) -> tuple[Word, ...]:
    return tuple(
        Word(own["start"], own["end"], own["text"], own["probability"], own.get("speaker")) for own in records
    )


def _suppressed(record: dict[str, Any]) -> Suppressed:
    return Suppressed(record["start"], record["end"], record["text"], SuppressionReason(record["reason"]))


def _segment(record: dict[str, Any]) -> Segment:
    words = record.pop("words") if "words" in record else None
    tokens = tuple(record.pop("tokens", ()))
    return Segment(**record, tokens=tokens, words=None if words is None else words_of(words))
