"""What may be asked of a transcription: parsed once into a type that can only be valid.

Every bound is checked on construction; afterwards nobody checks again. Defaults were chosen by measurement
(docs/decoding.md).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from scriba.domain.errors import InvalidOptionError
from scriba.domain.language import normalise_language, require_language
from scriba.domain.speakers import SpeakerOptions
from scriba.domain.transcript import Task

DEFAULT_TEMPERATURES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


MAX_BEAM = 100
"""Widest search: memory and time grow with it, and nobody has measured a gain beyond ten."""


MAX_PENALTY = 100
"""Strongest ``length_penalty``: beyond it a text's length to this power is no number any more."""


MAX_MILLISECONDS = 86_400_000
"""Longest pause, shortest speech and widest rim of voice activity: a day."""


MAX_TOKEN = 51_865
"""The last token of Whisper's largest vocabulary."""


MAX_SEGMENT = 4096
"""Longest stretch a separation model is given, in steps of its spectrum: memory grows with it."""
DEVICES = ("auto", "cpu", "cuda")


def _at_least(name: str, value: float, bound: float, *, strict: bool = False) -> None:
    # Compared, not asked math.isfinite: a whole number may be too large to be a float. False for NaN.
    if value == math.inf:
        raise InvalidOptionError(f"{name} must be a finite number, not {_shown(value)}.", field=name)
    if not (bound <= value < math.inf) or (strict and value == bound):
        relation = "greater than" if strict else "at least"
        raise InvalidOptionError(f"{name} must be {relation} {bound:g}, not {_shown(value)}.", field=name)


def _between(name: str, value: float, low: float, high: float) -> None:
    if not (low <= value <= high):  # also false for NaN
        raise InvalidOptionError(
            f"{name} must be between {low:g} and {high:.8g}, not {_shown(value)}.", field=name
        )


def _whole(name: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidOptionError(f"{name} must be a whole number, not {_shown(value)}.", field=name)


def _shown(value: object) -> str:
    """The value as a message may quote it: of bounded length."""
    try:
        text = repr(value)
    except ValueError:  # an int of more digits than Python writes out
        return "a number of thousands of digits"
    return text if len(text) <= 40 else text[:40] + "…"


@dataclass(frozen=True, slots=True)
class DecodingOptions:
    """How the model searches for text. Names and meaning are those of openai/whisper and faster-whisper."""

    beam_size: int = 5
    best_of: int = 5
    patience: float = 1.0
    length_penalty: float = 1.0
    repetition_penalty: float = 1.0
    no_repeat_ngram_size: int = 0
    temperatures: tuple[float, ...] = DEFAULT_TEMPERATURES
    compression_ratio_threshold: float | None = 2.4
    log_prob_threshold: float | None = -1.0
    no_speech_threshold: float | None = 0.6
    condition_on_previous_text: bool = False
    prompt_reset_on_temperature: float = 0.5
    initial_prompt: str | None = None
    prefix: str | None = None
    hotwords: str | None = None
    suppress_blank: bool = True
    suppress_tokens: tuple[int, ...] = (-1,)
    without_timestamps: bool = False
    max_initial_timestamp: float = 1.0
    max_new_tokens: int | None = None
    hallucination_silence_threshold: float | None = None
    """Seconds of silence around a text that looks made up, from which it is withheld; None: never."""
    prepend_punctuations: str | None = None
    """Signs that belong to the next word; None is the usual ones."""
    append_punctuations: str | None = None
    """Signs that belong to the word before; None is the usual ones."""

    def __post_init__(self) -> None:
        for name in ("beam_size", "best_of", "no_repeat_ngram_size"):
            _whole(name, getattr(self, name))
        _between("beam_size", self.beam_size, 1, MAX_BEAM)
        _between("best_of", self.best_of, 1, MAX_BEAM)
        _at_least("patience", self.patience, 0, strict=True)
        _at_least("length_penalty", self.length_penalty, 0, strict=True)
        _between("length_penalty", self.length_penalty, 0, MAX_PENALTY)
        _at_least("repetition_penalty", self.repetition_penalty, 0, strict=True)
        _at_least("no_repeat_ngram_size", self.no_repeat_ngram_size, 0)
        if not self.temperatures:
            raise InvalidOptionError("temperature must hold at least one value.", field="temperature")
        for temperature in self.temperatures:
            _between("temperature", temperature, 0.0, 1.0)
        if self.compression_ratio_threshold is not None:
            _at_least("compression_ratio_threshold", self.compression_ratio_threshold, 0, strict=True)
        if self.log_prob_threshold is not None and not -math.inf < self.log_prob_threshold < math.inf:
            raise InvalidOptionError(
                f"log_prob_threshold must be a finite number, not {_shown(self.log_prob_threshold)}.",
                field="log_prob_threshold",
            )
        if self.no_speech_threshold is not None:
            _between("no_speech_threshold", self.no_speech_threshold, 0.0, 1.0)
        for token in self.suppress_tokens:
            _whole("suppress_tokens", token)
            _between("suppress_tokens", token, -1, MAX_TOKEN)
        _between("prompt_reset_on_temperature", self.prompt_reset_on_temperature, 0.0, 1.0)
        _between("max_initial_timestamp", self.max_initial_timestamp, 0.0, 30.0)
        if self.max_new_tokens is not None:
            _whole("max_new_tokens", self.max_new_tokens)
            _between("max_new_tokens", self.max_new_tokens, 1, 448)
        if self.hallucination_silence_threshold is not None:
            _at_least("hallucination_silence_threshold", self.hallucination_silence_threshold, 0)


@dataclass(frozen=True, slots=True)
class VadOptions:
    """Which parts of the audio count as speech (names and meaning of silero-vad's ``get_speech_timestamps``).

    Durations are milliseconds where the name says so, else seconds.
    """

    enabled: bool = True
    threshold: float = 0.5
    neg_threshold: float | None = None
    min_speech_duration_ms: int = 250
    max_speech_duration_s: float = math.inf
    min_silence_duration_ms: int = 500
    speech_pad_ms: int = 400

    def __post_init__(self) -> None:
        _between("threshold", self.threshold, 0.0, 1.0)
        if self.neg_threshold is not None:
            _between("neg_threshold", self.neg_threshold, 0.0, 1.0)
        for name in ("min_speech_duration_ms", "min_silence_duration_ms", "speech_pad_ms"):
            _whole(name, getattr(self, name))
            _between(name, getattr(self, name), 0, MAX_MILLISECONDS)
        if not self.max_speech_duration_s > 0:
            raise InvalidOptionError(
                f"max_speech_duration_s must be greater than 0, not {self.max_speech_duration_s!r}.",
                field="max_speech_duration_s",
            )


@dataclass(frozen=True, slots=True)
class SeparationOptions:
    """A wish to part voice from music.

    ``model`` None means the default. ``segment_size`` is how many steps of its spectrum a model works on
    together; None is what it was made for. With ``keep`` both parts are kept as files, for a while.
    """

    model: str | None = None
    segment_size: int | None = None
    device: str = "auto"
    keep: bool = False

    def __post_init__(self) -> None:
        if self.segment_size is not None:
            _whole("segment_size", self.segment_size)
            _between("segment_size", self.segment_size, 1, MAX_SEGMENT)
        if self.device not in DEVICES:
            raise InvalidOptionError(
                f"separation_device must be one of {', '.join(DEVICES)}, not {_shown(self.device)}.",
                field="separation_device",
            )


@dataclass(frozen=True, slots=True)
class LanguagePolicy:
    """Which language is spoken, or how to find out.

    ``language`` None means detect. ``allowed`` limits detection; empty means every language of the model.
    A detection below ``threshold`` is not believed alone: up to ``windows`` windows are weighed together.
    """

    language: str | None = None
    allowed: tuple[str, ...] = ()
    threshold: float = 0.5
    windows: int = 4

    def __post_init__(self) -> None:
        if self.language is not None:
            require_language(self.language, field="language")
        for language in self.allowed:
            require_language(language, field="languages")
        if self.language is not None and self.allowed and self.language not in self.allowed:
            raise InvalidOptionError(
                f"language {self.language!r} is not one of languages {', '.join(self.allowed)}.",
                field="language",
            )
        _between("language_detection_threshold", self.threshold, 0.0, 1.0)
        _whole("language_detection_segments", self.windows)
        _at_least("language_detection_segments", self.windows, 1)

    @classmethod
    def parse(cls, language: str | None, allowed: tuple[str, ...] | list[str] = ()) -> LanguagePolicy:
        """From what a client sends: codes, English names or aliases; None, ``""`` and ``auto`` detect.

        Raises:
            UnknownLanguageError: a value is none of these.
        """
        known = [normalise_language(value, field="languages") for value in allowed]
        codes = tuple(dict.fromkeys(code for code in known if code is not None))
        code = normalise_language(language, field="language")
        if code is None and len(codes) == 1:
            code = codes[0]  # an allow-list of one leaves nothing to detect
        return cls(language=code, allowed=codes)


@dataclass(frozen=True, slots=True)
class TranscribeOptions:
    """One request to transcribe a recording. ``model`` None means the server's default."""

    model: str | None = None
    task: Task = Task.TRANSCRIBE
    language: LanguagePolicy = field(default_factory=LanguagePolicy)
    decoding: DecodingOptions = field(default_factory=DecodingOptions)
    vad: VadOptions = field(default_factory=VadOptions)
    words: bool = False
    guards: bool = True
    """Withhold text that nobody said (see ``Transcript.suppressed``)."""
    separation: SeparationOptions | None = None
    """Part voice from music first, and listen to the voice; None: listen to everything."""
    chunk_length: int | None = None
    """Seconds of the longest window; None is Whisper's 30."""
    batch_size: int | None = None
    """Windows of this recording under way at the same time, at most; None: as the server likes."""
    speakers: SpeakerOptions | None = None
    """Tell who speaks; None: nobody asked."""

    def __post_init__(self) -> None:
        if self.chunk_length is not None:
            _whole("chunk_length", self.chunk_length)
            _between("chunk_length", self.chunk_length, 1, 30)
        if self.batch_size is not None:
            _whole("batch_size", self.batch_size)
            _at_least("batch_size", self.batch_size, 1)
