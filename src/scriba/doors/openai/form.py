"""The forms of the audio routes, as the documentation shows them."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

RESPONSE_FORMATS = ("json", "text", "srt", "verbose_json", "vtt")
DIARIZED = "diarized_json"
"""Of transcriptions alone."""


class TranslationForm(BaseModel):
    """Fields of a translation into English."""

    model_config = ConfigDict(populate_by_name=True)

    file: bytes = Field(
        description="The recording, in any container or codec the decoder reads; video too.",
        json_schema_extra={"format": "binary"},
    )
    model: str | None = Field(
        None, description="A model of `GET /v1/models`; left out, the server's default."
    )
    prompt: str | None = Field(None, description="Text whose style and spelling the model follows.")
    response_format: Literal["json", "text", "srt", "verbose_json", "vtt"] = Field(
        "json", description="Form of the answer."
    )
    temperature: float = Field(
        0.0,
        ge=0,
        le=1,
        description="0 starts at 0 and rises while the text fails; another value is used alone.",
    )
    language: str | None = Field(
        None,
        description="Language spoken: ISO 639-1 or 639-3 code, or English name. Left out, it is detected. "
        "(For a translation: an addition to OpenAI's.)",
    )
    chunking_strategy: str | None = Field(
        None,
        description='How speech is found: `auto`, or JSON such as `{"type": "server_vad", "threshold": 0.5, '
        '"prefix_padding_ms": 300, "silence_duration_ms": 500}`.',
    )
    vad_filter: bool | None = Field(
        None, description="Addition: look for speech first, and listen only to that."
    )
    guards: bool | None = Field(
        None, description="Addition: withhold text that nobody said; `verbose_json` lists it as `suppressed`."
    )
    beam_size: int | None = Field(None, ge=1, description="Addition: width of the beam search; 1 is greedy.")
    max_line_chars: int | None = Field(None, description="Addition, for `srt` and `vtt`: columns in a line.")
    max_lines: int | None = Field(None, description="Addition, for `srt` and `vtt`: lines in a cue.")
    max_duration: float | None = Field(
        None, description="Addition, for `srt` and `vtt`: seconds a cue may last."
    )
    max_gap: float | None = Field(
        None, description="Addition, for `srt` and `vtt`: seconds of pause above which a new cue starts."
    )
    max_chars_per_second: float | None = Field(
        None, description="Addition, for `srt` and `vtt`: reading speed in columns a second."
    )


class TranscriptionForm(TranslationForm):
    """Fields of a transcription."""

    language: str | None = Field(
        None,
        description="Language spoken: ISO 639-1 or 639-3 code, or English name. Left out, it is detected.",
    )
    response_format: Literal["json", "text", "srt", "verbose_json", "vtt", "diarized_json"] = Field(  # type: ignore[assignment]
        "json", description="Form of the answer; `diarized_json` says who speaks."
    )
    diarize: bool | None = Field(None, description="Addition: tell who speaks in the other formats, too.")
    num_speakers: int | None = Field(None, ge=1, le=64, description="Addition: how many speakers there are.")
    min_speakers: int | None = Field(None, ge=1, le=64, description="Addition: at least so many speakers.")
    max_speakers: int | None = Field(None, ge=1, le=64, description="Addition: at most so many speakers.")
    speaker_channels: bool | None = Field(
        None, description="Addition: every channel of the recording is a speaker."
    )
    known_speaker_names: list[str] = Field(
        [], alias="known_speaker_names[]", description="Names of speakers whose voices are sent, up to 4."
    )
    known_speaker_references: list[str] = Field(
        [],
        alias="known_speaker_references[]",
        description="For each name a recording of the voice, 2 to 10 s, as a data URL in base64.",
    )
    languages: list[str] = Field(
        [], alias="languages[]", description="Languages that may be spoken; detection chooses among them."
    )
    keywords: list[str] = Field(
        [], alias="keywords[]", description="Words or phrases that are likely to be said."
    )
    timestamp_granularities: list[Literal["word", "segment"]] = Field(
        [],
        alias="timestamp_granularities[]",
        description="What `verbose_json` gives times of: segments (when nothing is sent), words, or both.",
    )
    stream: bool = Field(
        False,
        description="Answer with server-sent events: `transcript.text.delta` for each segment as soon as it "
        "is known, then `transcript.text.done`. Goes with the response formats `json`, `text` "
        "and `diarized_json`, which adds `transcript.text.segment`.",
    )
