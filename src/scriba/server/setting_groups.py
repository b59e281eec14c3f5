"""Groups of settings that become the domain's option types. Their defaults are the domain's own."""

from __future__ import annotations

import math
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_settings import NoDecode

from scriba.domain.errors import InvalidOptionError, UnsupportedOptionError
from scriba.domain.options import DecodingOptions, LanguagePolicy, SeparationOptions, VadOptions
from scriba.separation.catalogue import DEFAULT as SEPARATION_DEFAULT
from scriba.separation.catalogue import resolve
from scriba.server.setting_values import split_list

_DECODING = DecodingOptions()
_VAD = VadOptions()
_LANGUAGE = LanguagePolicy()


class Group(BaseModel):
    """A group of settings. A name it does not have is refused, so that a slip is not taken for a choice."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DecodingSettings(Group):
    """How the model searches for text when a request does not say."""

    beam_size: int = Field(_DECODING.beam_size, description="Width of the beam search; 1 is greedy.")
    best_of: int = Field(_DECODING.best_of, description="Candidates sampled at temperatures above 0.")
    patience: float = Field(_DECODING.patience, description="How long the beam search goes on.")
    length_penalty: float = Field(
        _DECODING.length_penalty, description="Exponent on the length of a candidate."
    )
    repetition_penalty: float = Field(
        _DECODING.repetition_penalty, description="Above 1, tokens already said become less likely."
    )
    no_repeat_ngram_size: int = Field(
        _DECODING.no_repeat_ngram_size,
        description="No group of so many tokens may come twice; 0 switches it off.",
    )
    temperatures: Annotated[tuple[float, ...], NoDecode] = Field(
        _DECODING.temperatures,
        description="The ladder: the next temperature is tried when a window's text fails a threshold.",
    )
    compression_ratio_threshold: float | None = Field(
        _DECODING.compression_ratio_threshold, description="Text that compresses better than this is a loop."
    )
    log_prob_threshold: float | None = Field(
        _DECODING.log_prob_threshold, description="Text with a lower mean log probability has failed."
    )
    no_speech_threshold: float | None = Field(
        _DECODING.no_speech_threshold,
        description="Above this probability of silence, failed text is no speech.",
    )
    condition_on_previous_text: bool = Field(
        _DECODING.condition_on_previous_text, description="Show the model what was said in the window before."
    )
    prompt_reset_on_temperature: float = Field(
        _DECODING.prompt_reset_on_temperature,
        description="Above this temperature the next window is not shown the text before it.",
    )
    suppress_blank: bool = Field(
        _DECODING.suppress_blank, description="No empty text at the start of a window."
    )
    max_new_tokens: int | None = Field(
        _DECODING.max_new_tokens, description="The most tokens for one window."
    )

    _split = field_validator("temperatures", mode="before")(split_list)

    @model_validator(mode="after")
    def _bounds(self) -> DecodingSettings:
        _as_value_error(self.options)
        return self

    def options(self) -> DecodingOptions:
        return DecodingOptions(**self.model_dump())


class VadSettings(Group):
    """Which parts of a recording count as speech when a request does not say."""

    enabled: bool = Field(_VAD.enabled, description="Look for speech first and listen only to that.")
    threshold: float = Field(
        _VAD.threshold, description="Probability above which a moment is speech, 0 to 1."
    )
    neg_threshold: float | None = Field(
        _VAD.neg_threshold,
        description="Probability below which speech has ended; unset: a little under `threshold`.",
    )
    min_speech_duration_ms: int = Field(
        _VAD.min_speech_duration_ms, description="Shorter speech is left out."
    )
    max_speech_duration_s: float = Field(
        math.inf,
        description="Longer speech, padding included, is cut at its last pause, or where it is; `inf` leaves "
        "the cut to the 30 s window.",
    )
    min_silence_duration_ms: int = Field(
        _VAD.min_silence_duration_ms, description="So much silence ends a stretch of speech."
    )
    speech_pad_ms: int = Field(_VAD.speech_pad_ms, description="Sound kept on both sides of speech.")

    @model_validator(mode="after")
    def _bounds(self) -> VadSettings:
        _as_value_error(self.options)
        return self

    def options(self) -> VadOptions:
        return VadOptions(**self.model_dump())


class SpeakerEngine(StrEnum):
    """What tells speakers apart."""

    ONNX = "onnx"
    PYANNOTE = "pyannote"


class SpeakerSettings(Group):
    """How speakers are told apart when a request asks for it."""

    engine: SpeakerEngine = Field(
        SpeakerEngine.ONNX,
        description="`onnx`, without PyTorch and without a token; or `pyannote`: `pyannote.audio`, with "
        "`scriba[pyannote]` installed and `HF_TOKEN`.",
    )
    pyannote_pipeline: str = Field(
        "pyannote/speaker-diarization-community-1",
        min_length=1,
        description="The pipeline of `pyannote.audio`: a name on the hub, or a folder.",
    )


class SeparationSettings(Group):
    """How voice is parted from music."""

    enabled: bool = Field(False, description="Part voice from music when a request does not say.")
    model: str = Field(
        SEPARATION_DEFAULT, description="The model for who names none: `gtcrn`, or one of docs/separation.md."
    )
    folder: Path | None = Field(
        None,
        description="A folder with models of your own, as `<name>.onnx`, by the names of docs/separation.md.",
    )
    file_seconds: float = Field(
        600.0, gt=0, description="The separated files of a job can be fetched for so long after it has ended."
    )

    @model_validator(mode="after")
    def _known(self) -> SeparationSettings:
        _as_value_error(lambda: resolve(self.model, "model"))
        return self

    def options(self) -> SeparationOptions | None:
        return SeparationOptions() if self.enabled else None


class LanguageSettings(Group):
    """How the language is found out when a request does not name it."""

    allowed: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Detection chooses among these only; empty: every language of the model."
    )
    threshold: float = Field(
        _LANGUAGE.threshold, description="A detection less sure than this is weighed with more windows."
    )
    windows: int = Field(_LANGUAGE.windows, description="The most windows that are weighed together.")

    _split = field_validator("allowed", mode="before")(split_list)

    @model_validator(mode="after")
    def _bounds(self) -> LanguageSettings:
        _as_value_error(self.policy)
        return self

    def policy(self) -> LanguagePolicy:
        known = LanguagePolicy.parse(None, self.allowed).allowed
        return LanguagePolicy(allowed=known, threshold=self.threshold, windows=self.windows)


def _as_value_error(build: Any) -> None:
    try:
        build()
    except (InvalidOptionError, UnsupportedOptionError) as error:
        raise ValueError(error.message) from None
