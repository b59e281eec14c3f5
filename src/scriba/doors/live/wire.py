"""Messages of the live protocol (docs/live.md). Times are seconds from the start of the session's audio."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from scriba.domain.errors import InvalidOptionError, ScribaError
from scriba.domain.transcript import Segment as DomainSegment
from scriba.domain.transcript import Word as DomainWord
from scriba.doors.forms import shown
from scriba.live.events import (
    Flushed,
    Lag,
    LanguageHeard,
    Partial,
    Refined,
    SegmentFinal,
    Settled,
    SpeakersFound,
    SpeechPaused,
    SpeechStarted,
    Withheld,
)
from scriba.live.numbered import Acknowledged, Failed, Finished, Numbered
from scriba.live.options import Delay

PROTOCOL = 1


class ClientMessage(BaseModel):
    model_config = ConfigDict(extra="forbid")


class AudioForm(ClientMessage):
    """``container``: the recorder's own stream (webm, ogg, mp4); the other fields do not apply to it."""

    encoding: str = "pcm_s16le"
    sample_rate: int = 16_000
    channels: int = 1


class Start(ClientMessage):
    """The first message of a new session."""

    type: Literal["start"]
    audio: AudioForm = AudioForm()
    sequenced: bool = False
    model: str | None = None
    language: str | None = None
    languages: list[str] = []
    task: Literal["transcribe", "translate"] = "transcribe"
    prompt: str | None = None
    hotwords: str | None = None
    delay: Delay = Delay.LOW
    end_silence: float | None = Field(None, ge=0.2, le=10.0)
    automatic: bool = True
    diarize: bool | None = None
    num_speakers: int | None = None
    min_speakers: int | None = None
    max_speakers: int | None = None
    refine: bool = False


class Resume(ClientMessage):
    """The first message of a client that comes back; ``after`` is the last ``seq`` it has."""

    type: Literal["resume"]
    session: str
    after: int = Field(0, ge=0)


class Flush(ClientMessage):
    type: Literal["flush"]


class Finish(ClientMessage):
    type: Literal["finish"]


Opening = Annotated[Start | Resume, Field(discriminator="type")]
Command = Annotated[Flush | Finish, Field(discriminator="type")]
_OPENING: TypeAdapter[Start | Resume] = TypeAdapter(Opening)
_COMMAND: TypeAdapter[Flush | Finish] = TypeAdapter(Command)


def parse_opening(text: str) -> Start | Resume:
    """
    Raises:
        InvalidOptionError: it is neither a valid start nor a valid resume.
    """
    opening: Start | Resume = _parsed(_OPENING, text, "start or resume")
    return opening


def parse_command(text: str) -> Flush | Finish:
    """
    Raises:
        InvalidOptionError: it is neither flush nor finish.
    """
    command: Flush | Finish = _parsed(_COMMAND, text, "flush or finish")
    return command


def _parsed(adapter: TypeAdapter[Any], text: str, wanted: str) -> Any:
    try:
        return adapter.validate_json(text)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        if fault["type"] in {"json_invalid", "json_type"}:
            raise InvalidOptionError("The message is no JSON.", field="message") from None
        if not fault["loc"]:
            raise InvalidOptionError(
                f"The message must be an object whose type is {wanted}.", field="type"
            ) from None
        field = ".".join(str(part) for part in fault["loc"][1:]) or "type"
        value = fault["input"]
        plain = fault["type"] != "extra_forbidden" and isinstance(value, str | int | float)
        raise InvalidOptionError(
            f"{field}: {fault['msg']}" + (f", not {shown(str(value))}." if plain else "."), field=field
        ) from None


def error_message(error: ScribaError) -> dict[str, Any]:
    return {"type": "error", "code": error.code, "message": error.message, "field": error.field}


def event_message(numbered: Numbered, *, speakers: bool = False) -> dict[str, Any]:
    """An event as it goes out. Kept ones have ``seq``; with ``speakers`` segments and words have theirs."""
    body = _body(numbered.event, speakers)
    return {"type": body.pop("type"), **({"seq": numbered.seq} if numbered.kept else {}), **body}


def _body(event: object, speakers: bool) -> dict[str, Any]:
    match event:
        case Partial(start, end, text):
            return {"type": "partial", "start": start, "end": end, "text": text}
        case Settled(words, language):
            return {
                "type": "settled",
                "start": words[0].start,
                "end": words[-1].end,
                "text": "".join(word.text for word in words),
                "language": language,
                "words": [_word(word, speakers) for word in words],
            }
        case SegmentFinal(segment):
            return {"type": "segment", **_segment(segment, speakers)}
        case SpeakersFound(turns):
            return {
                "type": "speakers",
                "turns": [{"start": own.start, "end": own.end, "speaker": own.speaker} for own in turns],
            }
        case Refined():
            # Segments and words of hours would be more than a client takes in one message: they are fetched.
            return {"type": "refined", "text": event.text, "language": event.language}
        case SpeechStarted(at):
            return {"type": "speech_started", "at": at}
        case SpeechPaused(at):
            return {"type": "utterance_end", "at": at}
        case Flushed(at):
            return {"type": "flushed", "at": at}
        case LanguageHeard(language, probability):
            return {"type": "language", "language": language, "probability": probability}
        case Withheld(own):
            return {
                "type": "suppressed",
                "start": own.start,
                "end": own.end,
                "text": own.text,
                "reason": own.reason.value,
            }
        case Lag(seconds):
            return {"type": "lag", "seconds": seconds}
        case Acknowledged(received, frame):
            return {"type": "ack", "bytes": received, **({} if frame is None else {"frame": frame})}
        case Finished(duration):
            return {"type": "finished", "duration": duration}
        case Failed(code, message):
            return {"type": "failed", "code": code, "message": message}
        case _:
            raise TypeError(f"no message for {type(event).__name__}")


def _word(word: DomainWord, speakers: bool) -> dict[str, Any]:
    body = {"word": word.text, "start": word.start, "end": word.end, "probability": word.probability}
    return body | ({"speaker": word.speaker} if speakers else {})


def _segment(segment: DomainSegment, speakers: bool) -> dict[str, Any]:
    return {
        "id": segment.id,
        "start": segment.start,
        "end": segment.end,
        "text": segment.text,
        "language": segment.language,
        **({"speaker": segment.speaker} if speakers else {}),
        "words": [_word(word, speakers) for word in segment.words or ()],
    }
