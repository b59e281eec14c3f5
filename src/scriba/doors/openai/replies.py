"""A transcript to OpenAI's shapes."""

from __future__ import annotations

import math

from scriba.domain.transcript import Transcript
from scriba.doors.openai import wire
from scriba.formats.json_text import usage_body

AUDIO_TOKENS_A_SECOND = 50
"""Positions of Whisper's encoder: 1500 for 30 s."""


def transcription(transcript: Transcript) -> wire.Transcription:
    return wire.Transcription(
        text=transcript.text,
        languages=languages(transcript),
        usage=wire.UsageDuration(**usage_body(transcript)),
    )


def translation(transcript: Transcript) -> wire.Translation:
    return wire.Translation(text=transcript.text)


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
