"""What the routes answer, in OpenAI's shapes (openai-python ``types/audio``, ``types/model.py``)."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field


class ErrorBody(BaseModel):
    """``param`` names the field at fault; ``code`` is stable and machine-readable."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class ErrorReply(BaseModel):
    """An error."""

    error: ErrorBody


class UsageDuration(BaseModel):
    """What the request used: seconds of decoded audio."""

    type: Literal["duration"] = "duration"
    seconds: float


class UsageTokenDetails(BaseModel):
    audio_tokens: int
    text_tokens: int = 0


class UsageTokens(BaseModel):
    """What a streamed request used. Audio counts 50 tokens a second, the positions of Whisper's encoder."""

    type: Literal["tokens"] = "tokens"
    input_tokens: int
    output_tokens: int
    total_tokens: int
    input_token_details: UsageTokenDetails


class DetectedLanguage(BaseModel):
    code: str = Field(description="ISO 639-1 code, or Whisper's own where there is none.")


class Transcription(BaseModel):
    """``response_format=json``."""

    text: str
    languages: list[DetectedLanguage] = Field(
        description="Every language that was spoken; empty when none was."
    )
    usage: UsageDuration


class Translation(BaseModel):
    """``response_format=json``."""

    text: str


class Word(BaseModel):
    """Times are seconds from the start. ``probability`` and ``speaker`` are additions to OpenAI's."""

    word: str
    start: float
    end: float
    probability: float
    speaker: str | None = None


class Segment(BaseModel):
    """Times are seconds from the start. The figures are those of the decoding pass the segment came from.

    ``language`` and ``speaker`` are additions to OpenAI's shape.
    """

    id: int
    seek: int
    start: float
    end: float
    text: str
    tokens: list[int]
    temperature: float
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float
    language: str
    speaker: str | None = None


class DiarizedSegment(BaseModel):
    """A stretch of one speaker: an item of ``diarized_json``, and an event of its stream."""

    type: Literal["transcript.text.segment"] = "transcript.text.segment"
    id: str
    start: float
    end: float
    text: str
    speaker: str = Field(description="A known speaker's name, else a capital letter.")


class DiarizedTranscription(BaseModel):
    """``response_format=diarized_json``."""

    task: Literal["transcribe"] = "transcribe"
    duration: float
    text: str
    segments: list[DiarizedSegment]
    usage: UsageDuration


class Withheld(BaseModel):
    """Text that the model produced and nobody said."""

    start: float
    end: float
    text: str
    reason: str


class SpeechSpan(BaseModel):
    """Where voice activity heard somebody speak, in seconds."""

    start: float
    end: float


class VerboseTranscription(BaseModel):
    """``response_format=verbose_json``.

    ``language_code``, ``language_probability``, ``languages``, ``model``, ``suppressed`` and ``speech`` are
    additions to OpenAI's shape.
    """

    task: Literal["transcribe", "translate"]
    language: str = Field(
        description="English name, lower case; of the output, so `english` for a translation."
    )
    duration: float
    text: str
    segments: list[Segment] | None = None
    words: list[Word] | None = None
    usage: UsageDuration
    language_code: str | None
    language_probability: float | None
    languages: list[DetectedLanguage]
    model: str
    suppressed: list[Withheld]
    speech: list[SpeechSpan]


class TextDelta(BaseModel):
    """Text that is new; all deltas together are the text of ``transcript.text.done``."""

    type: Literal["transcript.text.delta"] = "transcript.text.delta"
    delta: str
    segment_id: str | None = Field(None, exclude_if=lambda value: value is None)


class TextDone(BaseModel):
    """The last event of a stream that succeeded."""

    type: Literal["transcript.text.done"] = "transcript.text.done"
    text: str
    languages: list[DetectedLanguage]
    usage: UsageTokens


class Model(BaseModel):
    """A model that a request may name."""

    id: str
    object: Literal["model"] = "model"
    created: int = Field(description="Seconds since the epoch; 0 where it is not known.")
    owned_by: str


class ModelList(BaseModel):
    object: Literal["list"] = "list"
    data: list[Model]
