"""Every parameter of the task interface: its kind and its bounds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scriba.domain.errors import InvalidOptionError
from scriba.domain.options import MAX_SEGMENT
from scriba.doors.forms import shown
from scriba.doors.json_body import loads

_TRUE, _FALSE = frozenset({"true", "1", "yes", "on"}), frozenset({"false", "0", "no", "off"})
_NULL = frozenset({"", "null", "none"})


@dataclass(frozen=True, slots=True)
class Field:
    """``kind`` is ``str``, ``bool``, ``int``, ``float`` or ``ints``.

    ``nullable`` takes an empty value as None; ``above`` excludes the bound itself.
    """

    kind: str
    low: float | None = None
    high: float | None = None
    above: bool = False
    nullable: bool = False

    def parse(self, name: str, values: list[str]) -> Any:
        """
        Raises:
            InvalidOptionError: the value is not of this kind, or out of bounds.
        """
        if self.kind == "ints":
            return self._integers(name, values)
        if len(values) != 1:
            raise InvalidOptionError(f"{name} was sent {len(values)} times; send it once.", field=name)
        text = values[0].strip()
        if self.nullable and text.lower() in _NULL:
            return None
        if self.kind == "str":
            return values[0]
        if self.kind == "bool":
            if text.lower() in _TRUE:
                return True
            if text.lower() in _FALSE:
                return False
            raise InvalidOptionError(f"{name} must be true or false, not {shown(text)}.", field=name)
        return self._number(name, text)

    def _number(self, name: str, text: str) -> float | int:
        whole = self.kind == "int"
        try:
            value: float | int = int(text) if whole else float(text)
        except ValueError:
            kind = "a whole number" if whole else "a number"
            raise InvalidOptionError(f"{name} must be {kind}, not {shown(text)}.", field=name) from None
        if isinstance(value, float) and math.isnan(value):
            raise InvalidOptionError(f"{name} must be a number, not {shown(text)}.", field=name)
        low, high = self.low, self.high
        if low is not None and (value < low or (self.above and value == low)):
            relation = "greater than" if self.above else "at least"
            raise InvalidOptionError(f"{name} must be {relation} {low:g}, not {shown(text)}.", field=name)
        if high is not None and value > high:
            raise InvalidOptionError(f"{name} must be at most {high:g}, not {shown(text)}.", field=name)
        return value

    def _integers(self, name: str, values: list[str]) -> list[int]:
        """Sent repeatedly, as a JSON list, or with commas."""
        parts = values
        if len(values) == 1:
            text = values[0].strip()
            try:
                parts = loads(text) if text.startswith("[") else [p for p in text.split(",") if p.strip()]
            except ValueError:
                parts = [text]
        try:
            # By its text: a list of JSON may hold 1.5 or true, which int() would take.
            return [int(str(part)) for part in parts]
        except ValueError:
            raise InvalidOptionError(
                f"{name} must be whole numbers, not {shown(','.join(map(str, parts)))}.", field=name
            ) from None


WHISPER: Mapping[str, Field] = {
    "model_size": Field("str", nullable=True),
    "lang": Field("str", nullable=True),
    "is_translate": Field("bool"),
    "beam_size": Field("int", 1),
    "log_prob_threshold": Field("float"),
    "no_speech_threshold": Field("float", 0, 1),
    "compute_type": Field("str"),
    "best_of": Field("int", 1),
    "patience": Field("float", 0, above=True),
    "condition_on_previous_text": Field("bool"),
    "prompt_reset_on_temperature": Field("float", 0, 1),
    "initial_prompt": Field("str", nullable=True),
    "temperature": Field("float", 0),
    "compression_ratio_threshold": Field("float", 0, above=True),
    "length_penalty": Field("float", 0, above=True),
    "repetition_penalty": Field("float", 0, above=True),
    "no_repeat_ngram_size": Field("int", 0),
    "prefix": Field("str", nullable=True),
    "suppress_blank": Field("bool"),
    "suppress_tokens": Field("ints"),
    "max_initial_timestamp": Field("float", 0),
    "word_timestamps": Field("bool"),
    "prepend_punctuations": Field("str", nullable=True),
    "append_punctuations": Field("str", nullable=True),
    "max_new_tokens": Field("int", 1, nullable=True),
    "chunk_length": Field("int", 1, 30, nullable=True),
    "hallucination_silence_threshold": Field("float", 0, nullable=True),
    "hotwords": Field("str", nullable=True),
    "language_detection_threshold": Field("float", 0, 1, nullable=True),
    "language_detection_segments": Field("int", 1),
    "batch_size": Field("int", 1),
    "enable_offload": Field("bool"),
}

VAD: Mapping[str, Field] = {
    "vad_filter": Field("bool"),
    "threshold": Field("float", 0, 1),
    "min_speech_duration_ms": Field("int", 0),
    "max_speech_duration_s": Field("float", 0, above=True),
    "min_silence_duration_ms": Field("int", 0),
    "speech_pad_ms": Field("int", 0),
}

MUSIC: Mapping[str, Field] = {
    "is_separate_bgm": Field("bool"),
    "uvr_model_size": Field("str", nullable=True),
    "uvr_device": Field("str"),
    "segment_size": Field("int", 1, MAX_SEGMENT),
    "save_file": Field("bool"),
}

SPEAKERS: Mapping[str, Field] = {
    "is_diarize": Field("bool"),
    "diarization_device": Field("str"),
    "hf_token": Field("str", nullable=True),
}

TRANSCRIPTION: Mapping[str, Field] = {**WHISPER, **VAD, **MUSIC, **SPEAKERS}
