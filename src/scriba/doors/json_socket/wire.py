"""Messages of the interface: read with its own words for what is wrong, and written."""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass
from typing import Any

from scriba.domain.errors import ScribaError
from scriba.domain.transcript import Transcript

FORMATS = ("mp3", "wav", "m4a", "ogg", "webm", "flac", "mp4")
_DATA_URL = re.compile(r"data:[^,]{0,200},", re.IGNORECASE)
_SAMPLE_BYTES = 2
STREAM_RATE = 16_000


class BadMessageError(ScribaError):
    """The message is none of the interface's."""

    code = "invalid_message"


@dataclass(frozen=True, slots=True)
class Chunk:
    """s16le at 16 kHz, mono, appended to the stream."""

    audio: bytes
    language: str | None


@dataclass(frozen=True, slots=True)
class Stop:
    """The stream has ended."""


@dataclass(frozen=True, slots=True)
class File:
    """A whole recording. ``format`` is the client's word for it; the decoder looks for itself."""

    audio: bytes
    language: str | None


def parse(message: str | bytes) -> Chunk | Stop | File:
    """Blocking for as long as base64 of the message takes.

    Raises:
        BadMessageError: with what is wrong, for the person who wrote the client.
    """
    if isinstance(message, bytes):
        raise BadMessageError("Invalid message: a text frame with JSON is expected, not a binary one")
    try:
        body = json.loads(message)
    except (ValueError, RecursionError):
        raise BadMessageError("Invalid JSON") from None
    if not isinstance(body, dict):
        raise BadMessageError("Invalid message: a JSON object is expected")
    kind = body.get("type")
    if kind == "stop":
        return Stop()
    if kind not in ("stream", "file"):
        raise BadMessageError(f"Unknown message type: {str(kind)[:80]}")
    language = body.get("language")
    if language is not None and not isinstance(language, str):
        raise BadMessageError("language must be a string or null", field="language")
    if kind == "file":
        _check_format(body.get("format"))
    audio = _audio(body.get("audio"))
    if kind == "file":
        return File(audio, language)
    if len(audio) % _SAMPLE_BYTES:
        raise BadMessageError(
            f"audio must be 16-bit samples: {len(audio)} is an odd number of bytes", field="audio"
        )
    return Chunk(audio, language)


def _check_format(value: Any) -> None:
    if value is None:
        return
    if not isinstance(value, str) or value.lower().lstrip(".") not in FORMATS:
        raise BadMessageError(
            f"Unknown format: {str(value)[:40]}; it must be one of {', '.join(FORMATS)}", field="format"
        )


def _audio(value: Any) -> bytes:
    if not isinstance(value, str) or not value:
        raise BadMessageError("Missing audio", field="audio")
    prefix = _DATA_URL.match(value)
    encoded = value[prefix.end() :] if prefix else value
    try:
        audio = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise BadMessageError("audio is not valid base64", field="audio") from None
    if not audio:
        raise BadMessageError("Missing audio", field="audio")
    return audio


def transcript_message(text: str, language: str | None, duration: float) -> dict[str, Any]:
    """Text that is new since the message before, over so many seconds of audio."""
    return {
        "type": "transcript",
        "text": text,
        "is_final": False,
        "language": language,
        "duration": round(duration, 3),
    }


def final_message(text: str, language: str | None) -> dict[str, Any]:
    """The answer to a stop: all text of the stream."""
    return {"type": "transcript", "text": text, "is_final": True, "language": language}


def file_message(transcript: Transcript, seconds: float) -> dict[str, Any]:
    """The answer to a file; ``seconds`` is what the work took."""
    return {
        "type": "file_transcript",
        "text": transcript.text,
        "segments": [{"start": own.start, "end": own.end, "text": own.text} for own in transcript.segments],
        "language": transcript.language,
        "duration": round(transcript.duration, 3),
        "processing_time": round(seconds, 3),
        "real_time_factor": round(transcript.duration / max(seconds, 1e-6), 3),
    }


def error_message(message: str) -> dict[str, Any]:
    return {"type": "error", "message": message}
