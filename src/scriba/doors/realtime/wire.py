"""What a client of the Realtime API sends (openai-python ``types/realtime``), parsed once."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from scriba.domain.errors import InvalidOptionError, UnsupportedOptionError
from scriba.doors.json_body import loads
from scriba.live.options import Delay

MOST_AUDIO_BYTES = 15 * 1024 * 1024
"""Of one ``append``, decoded (OpenAI's own bound)."""


class Part(BaseModel):
    """Only what is present in an update changes; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class PcmAudio(Part):
    type: Literal["audio/pcm"] = "audio/pcm"
    rate: Literal[24000] = 24000


class MuLawAudio(Part):
    type: Literal["audio/pcmu"]


class ALawAudio(Part):
    type: Literal["audio/pcma"]


AudioFormat = Annotated[PcmAudio | MuLawAudio | ALawAudio, Field(discriminator="type")]


class Transcription(Part):
    model: str | None = None
    language: str | None = None
    languages: list[str] | None = None
    keywords: list[str] | None = None
    prompt: str | None = None
    delay: Delay | None = None


class ServerVad(Part):
    type: Literal["server_vad"]
    threshold: float = Field(0.5, ge=0.0, le=1.0)
    prefix_padding_ms: int = Field(300, ge=0, le=5000)
    silence_duration_ms: int = Field(500, ge=200, le=10_000)
    idle_timeout_ms: int | None = Field(None, ge=5000, le=30_000)
    create_response: bool | None = None
    interrupt_response: bool | None = None


class SemanticVad(Part):
    type: Literal["semantic_vad"]
    eagerness: Literal["low", "medium", "high", "auto"] | None = None
    create_response: bool | None = None
    interrupt_response: bool | None = None


class AudioInput(Part):
    format: AudioFormat | None = None
    noise_reduction: dict[str, Any] | None = None
    transcription: Transcription | None = None
    turn_detection: Annotated[ServerVad | SemanticVad, Field(discriminator="type")] | None = None


class Audio(Part):
    input: AudioInput | None = None


class Session(Part):
    type: Literal["transcription"]
    audio: Audio | None = None
    include: list[Literal["item.input_audio_transcription.logprobs"]] | None = None


class Message(BaseModel):
    model_config = ConfigDict(extra="forbid")

    event_id: str | None = Field(None, max_length=512)


class SessionUpdate(Message):
    type: Literal["session.update"]
    session: Session


class Append(Message):
    type: Literal["input_audio_buffer.append"]
    audio: str

    def samples(self) -> bytes:
        """
        Raises:
            InvalidOptionError: it is no base64, or too much.
        """
        if len(self.audio) > MOST_AUDIO_BYTES * 4 // 3 + 4:
            raise InvalidOptionError(f"audio may have {MOST_AUDIO_BYTES} bytes in one append.", field="audio")
        try:
            return base64.b64decode(self.audio, validate=True)
        except (binascii.Error, ValueError):
            raise InvalidOptionError("audio must be base64.", field="audio") from None


class Commit(Message):
    type: Literal["input_audio_buffer.commit"]


class Clear(Message):
    type: Literal["input_audio_buffer.clear"]


ClientMessage = SessionUpdate | Append | Commit | Clear
_MESSAGE: TypeAdapter[ClientMessage] = TypeAdapter(Annotated[ClientMessage, Field(discriminator="type")])
_TYPES = (
    "session.update",
    "input_audio_buffer.append",
    "input_audio_buffer.commit",
    "input_audio_buffer.clear",
)


def parse(text: str | bytes) -> ClientMessage:
    """
    Raises:
        InvalidOptionError: it is no message that a transcription session takes.
    """
    try:
        body = loads(text)
    except ValueError:
        raise InvalidOptionError("The message is no JSON.", field=None) from None
    if not isinstance(body, dict):
        raise InvalidOptionError("The message must be a JSON object.", field=None)
    kind = body.get("type")
    if kind not in _TYPES:
        raise InvalidOptionError(
            f"type must be one of {', '.join(_TYPES)} in a transcription session, not {str(kind)[:60]!r}.",
            field="type",
        )
    session = body.get("session")
    if isinstance(session, dict) and session.get("type") == "realtime":
        raise UnsupportedOptionError(
            "This server has transcription sessions only: session.type must be transcription.",
            field="session.type",
        )
    try:
        return _MESSAGE.validate_python(body)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        tags = {*_TYPES, "audio/pcm", "audio/pcmu", "audio/pcma", "server_vad", "semantic_vad"}
        field = ".".join(str(part) for part in fault["loc"] if part not in tags)
        raise InvalidOptionError(f"{field}: {fault['msg']}.", field=field) from None


def event_id_of(text: str | bytes) -> str | None:
    """The client's id of a message that may be wrong in every other way."""
    try:
        found = loads(text).get("event_id")
    except (ValueError, AttributeError):
        return None
    return found if isinstance(found, str) else None
