"""The one transcript type: every engine's output becomes it, every format and door is made from it.

All times are seconds from the start of the recording, as float.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from scriba.domain.speakers import SpeakerTurn


class Task(StrEnum):
    """What Whisper is asked to do. Translation is into English only."""

    TRANSCRIBE = "transcribe"
    TRANSLATE = "translate"


class SuppressionReason(StrEnum):
    """Why text that the model produced was withheld."""

    NO_SPEECH = "no_speech"
    REPETITION = "repetition"
    LOW_CONFIDENCE = "low_confidence"
    KNOWN_PHRASE = "known_phrase"
    SILENCE = "silence"
    """It stands alone in silence and looks made up (``hallucination_silence_threshold``)."""
    NOT_ENGLISH = "not_english"
    """An English-only model heard what does not sound like English, and nobody said that it is."""


@dataclass(frozen=True, slots=True)
class Word:
    """One word with the punctuation that belongs to it. ``text`` keeps its leading space where the language
    writes one, so that joining the words of a segment gives the segment's text."""

    start: float
    end: float
    text: str
    probability: float
    speaker: str | None = None
    """Who says it, when speakers were asked for."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A sentence or a short phrase. ``text`` has no surrounding white space.

    ``avg_logprob``, ``compression_ratio``, ``no_speech_prob`` and ``temperature`` are those of the decoding
    pass the segment came from (openai/whisper, ``DecodingResult``). ``words`` is None unless asked for.
    ``tokens`` are the model's text and timestamp token ids. ``seek`` is the offset of that pass in hundredths
    of a second.
    """

    id: int
    start: float
    end: float
    text: str
    language: str
    words: tuple[Word, ...] | None = None
    tokens: tuple[int, ...] = ()
    seek: int = 0
    temperature: float = 0.0
    avg_logprob: float = 0.0
    compression_ratio: float = 0.0
    no_speech_prob: float = 0.0
    speaker: str | None = None
    """Who speaks, when speakers were asked for."""


@dataclass(frozen=True, slots=True)
class Suppressed:
    """Text that the model produced and the guards withheld: never silently dropped."""

    start: float
    end: float
    text: str
    reason: SuppressionReason


@dataclass(frozen=True, slots=True)
class Transcript:
    """A whole recording. ``duration`` is what was really decoded, in seconds.

    ``language`` is the language most of the speech is in (ISO 639-1, or Whisper's own code where there is
    none), None when nothing was said and none was asked for; ``language_probability`` is 1.0 when the caller
    named it. ``model`` is the catalogue's name of the model that did the work.
    """

    segments: tuple[Segment, ...]
    duration: float
    language: str | None
    language_probability: float
    task: Task
    model: str
    suppressed: tuple[Suppressed, ...] = ()
    turns: tuple[SpeakerTurn, ...] = ()
    """Who speaks when, in order of start, when speakers were asked for. They may overlap."""
    speech: tuple[tuple[float, float], ...] = ()
    """Start and end, in seconds, of the stretches that voice activity let through; empty where it was off."""

    @property
    def text(self) -> str:
        """All segments as one string: joined by a space, or by nothing after a script without spaces."""
        return join_segments(self.segments)

    @property
    def languages(self) -> tuple[str, ...]:
        """Every language that occurs, in the order of first occurrence."""
        return tuple(dict.fromkeys(segment.language for segment in self.segments))


SPACELESS_LANGUAGES = frozenset({"zh", "ja", "yue", "th", "lo", "my", "km", "bo"})
"""Languages whose script does not put a space between sentences or words."""


def segment_separator(language: str) -> str:
    """What stands between two segments of this language when they are joined to running text."""
    return "" if language in SPACELESS_LANGUAGES else " "


def join_segments(segments: tuple[Segment, ...] | list[Segment]) -> str:
    """Running text of ``segments``; the separator is that of the segment that follows it."""
    parts: list[str] = []
    for segment in segments:
        if not segment.text:
            continue
        if parts:
            parts.append(segment_separator(segment.language))
        parts.append(segment.text)
    return "".join(parts)
