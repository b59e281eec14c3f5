"""How much context a window gets, and when what came of a short one is not believed."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scriba.engine.context import ContextMode, ContextPolicy, looks_wrong, most_tokens
from scriba.engine.port import WINDOW_SECONDS, Decoded, Phrase

any_length = st.floats(min_value=1 / 16_000, max_value=WINDOW_SECONDS)


def phrase(start: float, end: float, tokens: int = 8) -> Phrase:
    return Phrase(start, end, " Some words.", tuple(range(tokens)))


def decoded(
    *phrases: Phrase, avg_logprob: float = -0.3, compression_ratio: float = 1.2, consumed: float = 30.0
) -> Decoded:
    return Decoded(phrases, consumed, 0.0, avg_logprob, compression_ratio, no_speech_prob=0.1)


@pytest.mark.parametrize(
    ("seconds", "frames"),
    [
        (1.0, 1000),
        (2.0, 1000),
        (2.01, 1500),
        (7.0, 1500),
        (12.0, 2000),
        (17.0, 2500),
        (17.1, 3000),
        (30.0, 3000),
    ],
)
def test_context_is_the_speech_and_eight_seconds_rounded_up(seconds: float, frames: int) -> None:
    assert ContextPolicy().frames_for(seconds) == frames


def test_without_a_step_nothing_is_rounded_but_to_whole_positions() -> None:
    assert ContextPolicy(step=0.0).frames_for(3.0) == 1100
    assert ContextPolicy(step=0.0).frames_for(3.001) == 1102


def test_the_switch_gives_every_window_thirty_seconds() -> None:
    policy = ContextPolicy(ContextMode.FULL)
    assert {policy.frames_for(seconds) for seconds in (0.1, 3.0, 30.0)} == {3000}
    assert policy.is_full(0.1)


def test_a_window_with_all_of_its_context_needs_no_verification() -> None:
    assert ContextPolicy().is_full(25.0)
    assert not ContextPolicy().is_full(5.0)


def test_a_rounding_error_costs_no_step() -> None:
    assert ContextPolicy().frames_for(2.0 + 1e-9) == 1000


@given(seconds=any_length, padding=st.floats(0.0, 30.0), step=st.sampled_from([0.0, 1.0, 2.5, 5.0, 15.0]))
def test_context_holds_the_sound_in_whole_positions(seconds: float, padding: float, step: float) -> None:
    frames = ContextPolicy(padding=padding, step=step).frames_for(seconds)
    assert frames % 2 == 0
    assert seconds * 100 - 0.01 <= frames <= 3000
    assert frames >= min(3000.0, (seconds + padding) * 100 - 0.01)


@given(seconds=any_length, seam=st.floats(0.0, 30.0))
def test_what_is_encoded_holds_the_sound_and_is_no_more_than_the_context(seconds: float, seam: float) -> None:
    policy = ContextPolicy(seam=seam)
    frames = policy.encoded_frames(seconds)
    assert frames % 2 == 0
    assert seconds * 100 - 0.01 <= frames <= policy.frames_for(seconds)
    assert frames >= min(policy.frames_for(seconds), (seconds + seam) * 100 - 0.01)


def test_the_tiny_models_encode_two_seconds_of_silence_at_least_and_the_others_all() -> None:
    tiny = ContextPolicy.for_model("tiny.en")
    assert [tiny.encoded_frames(seconds) for seconds in (3.0, 3.1, 22.0, 29.0)] == [500, 600, 2400, 3000]
    assert tiny.is_full(28.5)
    assert tiny.is_full(22.1)
    assert not tiny.is_full(22.0)
    base = ContextPolicy.for_model("base")
    assert [base.encoded_frames(seconds) for seconds in (3.0, 3.1, 13.0, 13.1)] == [1500, 2000, 2500, 3000]
    assert ContextPolicy.for_model("small").encoded_frames(3.0) == 3000


@given(shorter=any_length, longer=any_length)
def test_more_sound_never_gets_less_context(shorter: float, longer: float) -> None:
    policy = ContextPolicy()
    shorter, longer = sorted((shorter, longer))
    assert policy.frames_for(shorter) <= policy.frames_for(longer)


@pytest.mark.parametrize("value", [-1.0, 31.0, math.nan])
def test_a_padding_or_step_that_cannot_be_is_refused_by_name(value: float) -> None:
    with pytest.raises(ValueError, match="padding must be between 0 and 30 s"):
        ContextPolicy(padding=value)
    with pytest.raises(ValueError, match="step must be between 0 and 30 s"):
        ContextPolicy(step=value)


def test_an_ordinary_result_is_believed() -> None:
    assert not looks_wrong(decoded(phrase(0.0, 1.4), phrase(1.4, 2.9)), 3.0)


def test_no_words_are_no_fault() -> None:
    assert not looks_wrong(decoded(compression_ratio=0.0), 3.0)


def test_a_repetitive_or_improbable_result_is_not_believed() -> None:
    assert looks_wrong(decoded(phrase(0.0, 3.0), compression_ratio=2.5), 3.0)
    assert looks_wrong(decoded(phrase(0.0, 3.0), avg_logprob=-1.1), 3.0)


def test_text_after_the_end_of_the_sound_is_not_believed() -> None:
    assert looks_wrong(decoded(phrase(0.0, 3.0), phrase(3.0, 3.0)), 3.0)


def test_a_phrase_that_lasts_to_the_end_is() -> None:
    assert not looks_wrong(decoded(phrase(0.0, 3.0)), 3.0)


def test_sound_too_short_for_a_second_phrase_is_not_after_its_own_end() -> None:
    assert not looks_wrong(decoded(phrase(0.0, 0.08)), 0.08)


def test_a_pass_that_stops_before_the_sound_does_is_not_believed() -> None:
    assert looks_wrong(decoded(phrase(0.0, 2.0), consumed=2.0), 3.0)
    assert not looks_wrong(decoded(phrase(0.0, 2.0), consumed=2.6), 3.0)


def test_more_tokens_than_can_be_said_are_not_believed() -> None:
    assert looks_wrong(decoded(phrase(0.0, 3.0, tokens=35)), 3.0)
    assert not looks_wrong(decoded(phrase(0.0, 3.0, tokens=30)), 3.0)
    # "1-2-3-4-4-4-…" compresses badly enough to pass, and its cut-off tail is in no phrase.
    assert looks_wrong(decoded(phrase(0.0, 3.0)), 3.0, tokens=61)


@given(seconds=any_length)
def test_a_pass_stopped_at_the_most_tokens_always_looks_wrong(seconds: float) -> None:
    assert looks_wrong(decoded(phrase(0.0, seconds)), seconds, tokens=most_tokens(seconds))
    assert most_tokens(seconds) < 10 + 8 * 30 + 2


@pytest.mark.parametrize(
    ("model", "mode"),
    [("tiny", "fit"), ("tiny.en", "fit"), ("base", "fit"), ("base.en", "full"), ("large-v3", "full")],
)
def test_each_model_gets_what_holds_its_accuracy(model: str, mode: str) -> None:
    assert ContextPolicy.for_model(model).mode == mode
