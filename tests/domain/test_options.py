"""Every bound of the options, on both sides."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scriba.domain.errors import InvalidOptionError, UnknownLanguageError
from scriba.domain.options import (
    MAX_BEAM,
    MAX_MILLISECONDS,
    MAX_PENALTY,
    MAX_TOKEN,
    DecodingOptions,
    LanguagePolicy,
    TranscribeOptions,
    VadOptions,
)

HUGE = 10**400
"""A whole number that no float can hold."""
TINY = 5e-324

GOOD: list[tuple[type[Any], str, Any]] = [
    (DecodingOptions, "beam_size", 1),
    (DecodingOptions, "beam_size", MAX_BEAM),
    (DecodingOptions, "best_of", 1),
    (DecodingOptions, "best_of", MAX_BEAM),
    (DecodingOptions, "patience", TINY),
    (DecodingOptions, "length_penalty", TINY),
    (DecodingOptions, "length_penalty", MAX_PENALTY),
    (DecodingOptions, "repetition_penalty", TINY),
    (DecodingOptions, "suppress_tokens", ()),
    (DecodingOptions, "suppress_tokens", (-1, 0, MAX_TOKEN)),
    (DecodingOptions, "no_repeat_ngram_size", 0),
    (DecodingOptions, "temperatures", (0.0,)),
    (DecodingOptions, "temperatures", (0, 1)),
    (DecodingOptions, "compression_ratio_threshold", None),
    (DecodingOptions, "compression_ratio_threshold", TINY),
    (DecodingOptions, "log_prob_threshold", None),
    (DecodingOptions, "log_prob_threshold", -1e9),
    (DecodingOptions, "no_speech_threshold", None),
    (DecodingOptions, "no_speech_threshold", 0),
    (DecodingOptions, "no_speech_threshold", 1),
    (DecodingOptions, "prompt_reset_on_temperature", 0),
    (DecodingOptions, "prompt_reset_on_temperature", 1),
    (DecodingOptions, "max_initial_timestamp", 0),
    (DecodingOptions, "max_initial_timestamp", 30),
    (DecodingOptions, "max_new_tokens", None),
    (DecodingOptions, "max_new_tokens", 1),
    (DecodingOptions, "max_new_tokens", 448),
    (VadOptions, "threshold", 0),
    (VadOptions, "threshold", 1),
    (VadOptions, "neg_threshold", None),
    (VadOptions, "neg_threshold", 0),
    (VadOptions, "neg_threshold", 1),
    (VadOptions, "min_speech_duration_ms", 0),
    (VadOptions, "max_speech_duration_s", TINY),
    (VadOptions, "max_speech_duration_s", math.inf),
    (VadOptions, "min_silence_duration_ms", 0),
    (VadOptions, "speech_pad_ms", 0),
    (VadOptions, "speech_pad_ms", MAX_MILLISECONDS),
    (LanguagePolicy, "threshold", 0),
    (LanguagePolicy, "threshold", 1),
    (LanguagePolicy, "windows", 1),
    (LanguagePolicy, "language", "yue"),
    (LanguagePolicy, "allowed", ("de", "fr")),
]

BAD: list[tuple[type[Any], str, Any, str]] = [
    (DecodingOptions, "beam_size", 0, "beam_size"),
    (DecodingOptions, "beam_size", MAX_BEAM + 1, "beam_size"),
    (DecodingOptions, "beam_size", HUGE, "beam_size"),
    (DecodingOptions, "beam_size", 2.5, "beam_size"),
    (DecodingOptions, "beam_size", True, "beam_size"),
    (DecodingOptions, "best_of", 0, "best_of"),
    (DecodingOptions, "best_of", MAX_BEAM + 1, "best_of"),
    (DecodingOptions, "patience", 0, "patience"),
    (DecodingOptions, "patience", math.inf, "patience"),
    (DecodingOptions, "length_penalty", 0, "length_penalty"),
    (DecodingOptions, "length_penalty", math.nan, "length_penalty"),
    (DecodingOptions, "length_penalty", MAX_PENALTY + 1, "length_penalty"),
    (DecodingOptions, "length_penalty", 1e300, "length_penalty"),
    (DecodingOptions, "repetition_penalty", 0, "repetition_penalty"),
    (DecodingOptions, "suppress_tokens", (-2,), "suppress_tokens"),
    (DecodingOptions, "suppress_tokens", (-1, MAX_TOKEN + 1), "suppress_tokens"),
    (DecodingOptions, "suppress_tokens", (1.5,), "suppress_tokens"),
    (VadOptions, "min_silence_duration_ms", MAX_MILLISECONDS + 1, "min_silence_duration_ms"),
    (VadOptions, "speech_pad_ms", HUGE, "speech_pad_ms"),
    (DecodingOptions, "no_repeat_ngram_size", -1, "no_repeat_ngram_size"),
    (DecodingOptions, "no_repeat_ngram_size", 0.5, "no_repeat_ngram_size"),
    (DecodingOptions, "temperatures", (), "temperature"),
    (DecodingOptions, "temperatures", (0.0, 1.1), "temperature"),
    (DecodingOptions, "temperatures", (-0.1,), "temperature"),
    (DecodingOptions, "temperatures", (math.nan,), "temperature"),
    (DecodingOptions, "compression_ratio_threshold", 0, "compression_ratio_threshold"),
    (DecodingOptions, "log_prob_threshold", -math.inf, "log_prob_threshold"),
    (DecodingOptions, "log_prob_threshold", math.nan, "log_prob_threshold"),
    (DecodingOptions, "no_speech_threshold", -0.01, "no_speech_threshold"),
    (DecodingOptions, "no_speech_threshold", 1.01, "no_speech_threshold"),
    (DecodingOptions, "prompt_reset_on_temperature", -0.01, "prompt_reset_on_temperature"),
    (DecodingOptions, "prompt_reset_on_temperature", 1.01, "prompt_reset_on_temperature"),
    (DecodingOptions, "max_initial_timestamp", -0.01, "max_initial_timestamp"),
    (DecodingOptions, "max_initial_timestamp", 30.01, "max_initial_timestamp"),
    (DecodingOptions, "max_new_tokens", 0, "max_new_tokens"),
    (DecodingOptions, "max_new_tokens", 449, "max_new_tokens"),
    (DecodingOptions, "max_new_tokens", 1.5, "max_new_tokens"),
    (VadOptions, "threshold", -0.01, "threshold"),
    (VadOptions, "threshold", 1.01, "threshold"),
    (VadOptions, "neg_threshold", 1.01, "neg_threshold"),
    (VadOptions, "min_speech_duration_ms", -1, "min_speech_duration_ms"),
    (VadOptions, "min_speech_duration_ms", 1.5, "min_speech_duration_ms"),
    (VadOptions, "max_speech_duration_s", 0, "max_speech_duration_s"),
    (VadOptions, "max_speech_duration_s", math.nan, "max_speech_duration_s"),
    (VadOptions, "min_silence_duration_ms", -1, "min_silence_duration_ms"),
    (VadOptions, "speech_pad_ms", -1, "speech_pad_ms"),
    (LanguagePolicy, "threshold", -0.01, "language_detection_threshold"),
    (LanguagePolicy, "threshold", 1.01, "language_detection_threshold"),
    (LanguagePolicy, "windows", 0, "language_detection_segments"),
    (LanguagePolicy, "language", "french", "language"),
    (LanguagePolicy, "allowed", ("de", "xx"), "languages"),
]


@pytest.mark.parametrize(("kind", "name", "value"), GOOD)
def test_the_bound_itself_is_allowed(kind: type[Any], name: str, value: Any) -> None:
    assert getattr(kind(**{name: value}), name) == value


@pytest.mark.parametrize(("kind", "name", "value", "field"), BAD)
def test_beyond_the_bound_is_refused_by_name(kind: type[Any], name: str, value: Any, field: str) -> None:
    with pytest.raises(InvalidOptionError) as refused:
        kind(**{name: value})
    assert refused.value.field == field
    assert refused.value.message.startswith(field)
    assert len(refused.value.message) < 200


def test_the_message_tells_bound_and_value() -> None:
    with pytest.raises(InvalidOptionError, match="between 0 and 86400000, not 86400001"):
        VadOptions(speech_pad_ms=MAX_MILLISECONDS + 1)
    with pytest.raises(InvalidOptionError, match="patience must be a finite number, not inf"):
        DecodingOptions(patience=math.inf)


@given(st.floats() | st.integers(-(10**30), 10**30))
def test_a_probability_is_taken_or_refused_and_nothing_else(value: float) -> None:
    inside = 0 <= value <= 1
    kinds: tuple[tuple[type[Any], str], ...] = (
        (DecodingOptions, "no_speech_threshold"),
        (VadOptions, "threshold"),
    )
    for kind, name in kinds:
        try:
            kind(**{name: value})
        except InvalidOptionError:
            assert not inside
        else:
            assert inside


@pytest.mark.parametrize("value", [HUGE, -HUGE, 10**5000], ids=["large", "negative", "unprintable"])
def test_numbers_no_float_holds_end_in_a_message(value: int) -> None:
    kinds: tuple[tuple[type[Any], str], ...] = (
        (DecodingOptions, "beam_size"),
        (DecodingOptions, "max_initial_timestamp"),
        (VadOptions, "threshold"),
    )
    for kind, name in kinds:
        with pytest.raises(InvalidOptionError) as refused:
            kind(**{name: value})
        assert len(refused.value.message) < 200


def test_defaults_are_valid() -> None:
    assert TranscribeOptions().language.language is None


def test_languages_are_parsed_from_what_clients_send() -> None:
    policy = LanguagePolicy.parse("French", ["fr", "german", "FR"])
    assert (policy.language, policy.allowed) == ("fr", ("fr", "de"))
    assert LanguagePolicy.parse("auto", ["de", "fr"]).language is None
    assert LanguagePolicy.parse(None, ["german"]).language == "de"
    assert LanguagePolicy.parse("", ["auto"]).allowed == ()


def test_a_language_outside_the_allow_list_is_refused() -> None:
    with pytest.raises(InvalidOptionError, match="'en' is not one of languages de, fr"):
        LanguagePolicy.parse("en", ["de", "fr"])


@pytest.mark.parametrize(
    ("language", "allowed", "field"), [("xx", [], "language"), (None, ["xx"], "languages")]
)
def test_unknown_languages_name_their_field(language: str | None, allowed: list[str], field: str) -> None:
    with pytest.raises(UnknownLanguageError) as refused:
        LanguagePolicy.parse(language, allowed)
    assert refused.value.field == field
