"""What the OpenAPI document says the audio routes answer."""

from __future__ import annotations

from typing import Any

from scriba.doors.openai import wire
from scriba.doors.schema import error_responses

AUDIO_ERRORS = error_responses(wire.ErrorReply, 400, 401, 404, 408, 413, 415, 500, 503)

_SRT = "1\n00:00:00,000 --> 00:00:02,400\nIt was the best of times.\n"
_VTT = "WEBVTT\n\n00:00:00.000 --> 00:00:02.400\nIt was the best of times.\n"
_STREAM = (
    'data: {"type":"transcript.text.delta","delta":"It was the best of times."}\n\n'
    'data: {"type":"transcript.text.done","text":"It was the best of times.","languages":[{"code":"en"}],'
    '"usage":{"type":"tokens","input_tokens":120,"output_tokens":9,"total_tokens":129,'
    '"input_token_details":{"audio_tokens":120,"text_tokens":0}}}\n\n'
)


def transcription_answers() -> dict[str, Any]:
    answers = translation_answers()
    answers["content"]["application/json"]["example"] = {
        "text": "It was the best of times.",
        "languages": [{"code": "en"}],
        "usage": {"type": "duration", "seconds": 3},
    }
    answers["content"]["text/event-stream"] = {"schema": {"type": "string"}, "example": _STREAM}
    answers["description"] += " With `stream`, server-sent events."
    return answers


def translation_answers() -> dict[str, Any]:
    return {
        "description": "The text, in the form that `response_format` names.",
        "content": {
            "application/json": {"example": {"text": "It was the best of times."}},
            "text/plain": {"schema": {"type": "string"}, "example": "It was the best of times.\n"},
            "application/x-subrip": {"schema": {"type": "string"}, "example": _SRT},
            "text/vtt": {"schema": {"type": "string"}, "example": _VTT},
        },
    }
