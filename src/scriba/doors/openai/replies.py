"""A transcript to OpenAI's shapes."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from itertools import count

from scriba.domain.options import TranscribeOptions
from scriba.domain.transcript import Segment, Transcript
from scriba.doors.openai import wire
from scriba.formats.json_text import usage_body

AUDIO_TOKENS_A_SECOND = 50
"""Positions of Whisper's encoder: 1500 for 30 s."""
_NUMBERED = re.compile(r"^SPEAKER_\d{2,}$")
"""What a speaker without a name is called elsewhere."""


def transcription(transcript: Transcript) -> wire.Transcription:
    return wire.Transcription(
        text=transcript.text,
        languages=languages(transcript),
        usage=wire.UsageDuration(**usage_body(transcript)),
    )


def translation(transcript: Transcript) -> wire.Translation:
    return wire.Translation(text=transcript.text)


class Letters:
    """Speakers as OpenAI names them: by their name where they have one, else A, B and on in order.

    Args:
        known: names that the request gave; they are told as they are, and nobody else is called so.
    """

    def __init__(self, known: Iterable[str] = ()) -> None:
        self._known = frozenset(known)
        self._letters: dict[str, str] = {}
        self._free = (letter for letter in map(_letter, count()) if letter not in self._known)

    def __call__(self, speaker: str | None) -> str:
        name = speaker or ""
        if name in self._known or (name and not _NUMBERED.match(name)):
            return name
        if name not in self._letters:
            self._letters[name] = next(self._free)
        return self._letters[name]


def letters_for(options: TranscribeOptions) -> Letters:
    """For the answer to a request."""
    known = () if options.speakers is None else options.speakers.known
    return Letters(speaker.name for speaker in known)


def _letter(number: int) -> str:
    """A to Z, then AA and on."""
    before, last = divmod(number, 26)
    return (_letter(before - 1) if before else "") + chr(ord("A") + last)


def diarized_segment(segment: Segment, speaker: str) -> wire.DiarizedSegment:
    return wire.DiarizedSegment(
        id=f"seg_{segment.id:03d}",
        start=round(segment.start, 3),
        end=round(segment.end, 3),
        text=segment.text,
        speaker=speaker,
    )


def diarized(transcript: Transcript, letters: Letters) -> wire.DiarizedTranscription:
    return wire.DiarizedTranscription(
        duration=round(transcript.duration, 3),
        text=transcript.text,
        segments=[diarized_segment(one, letters(one.speaker)) for one in transcript.segments],
        usage=wire.UsageDuration(**usage_body(transcript)),
    )


def done(transcript: Transcript) -> wire.TextDone:
    heard = math.ceil(transcript.duration * AUDIO_TOKENS_A_SECOND)
    said = sum(len(segment.tokens) for segment in transcript.segments)
    return wire.TextDone(
        text=transcript.text,
        languages=languages(transcript),
        usage=wire.UsageTokens(
            input_tokens=heard,
            output_tokens=said,
            total_tokens=heard + said,
            input_token_details=wire.UsageTokenDetails(audio_tokens=heard),
        ),
    )


def languages(transcript: Transcript) -> list[wire.DetectedLanguage]:
    return [wire.DetectedLanguage(code=code) for code in transcript.languages]
