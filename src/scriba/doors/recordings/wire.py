"""Messages of the interface."""

from __future__ import annotations

import json
from typing import Any

from scriba.domain.transcript import Transcript

LIMITED = "Rate limit exceeded. Try again later."
LIMITED_CODE, LIMITED_REASON = 4000, "Client not allowed"


def parse(text: str) -> tuple[str | None, bool]:
    """The id that a text frame announces, and whether it says stop.

    Raises:
        ValueError: it does neither; the message is for the client.
    """
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("The message is no JSON.") from None
    if not isinstance(body, dict):
        raise ValueError("The message must be a JSON object.")  # noqa: TRY004 - one kind of fault
    if body.get("message") == "Stop":
        return None, True
    id_ = body.get("xId")
    if not isinstance(id_, (str, int)) or isinstance(id_, bool) or not str(id_) or len(str(id_)) > 200:
        raise ValueError('The message must be {"xId": "…"} or {"message": "Stop"}.')
    return str(id_), False


def announced(id_: str) -> dict[str, Any]:
    return {"xId": id_, "service": "Backend", "details": "WebSocket (audio chunk)"}


def begun(id_: str | None) -> dict[str, Any]:
    return {"xId": id_, "service": "WhisperService", "details": "transcribe(audio_data)"}


def handed_over(id_: str | None) -> dict[str, Any]:
    return {"xId": id_, "service": "WhisperIntegration (AI)", "details": "get_transcription(temp_audio)"}


def transcribed(id_: str | None, transcript: Transcript) -> dict[str, Any]:
    """Times are seconds within the recording. No key may have "error" in its name: clients look for it."""
    return {
        "event": "transcription",
        "xId": id_,
        "language": transcript.language,
        "transcripts": [
            {"id": own.id, "text": own.text, "start": own.start, "end": own.end}
            for own in transcript.segments
        ],
    }


def stopped() -> dict[str, Any]:
    return {"xId": None, "service": "Stop", "details": None}
