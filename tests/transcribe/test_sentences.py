"""Sentences from words, and punctuation that belongs to them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scriba.engine.port import AlignedWord, Phrase
from scriba.transcribe.sentences import merge_punctuation, needs_words, split_sentences


def words(text: str, step: float = 0.4, start: float = 0.0) -> list[AlignedWord]:
    return [
        AlignedWord(start + i * step, start + (i + 1) * step, " " + word, 0.9, (i,))
        for i, word in enumerate(text.split())
    ]


def sentences(text: str, language: str = "en", step: float = 0.4) -> list[str]:
    return ["".join(w.text for w in group).strip() for group in split_sentences(words(text, step), language)]


def test_each_sentence_is_one_segment() -> None:
    assert sentences("It was late. Nobody came! Why not?", step=0.5) == [
        "It was late.",
        "Nobody came!",
        "Why not?",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "I met Mr. Hale and Dr. Smith there.",
        "It costs 3.5 dollars, e.g. in shops.",
        "J. R. Smith wrote it.",
        "They paid £2.50 in the U.S. market.",
    ],
)
def test_abbreviations_and_numbers_end_nothing(text: str) -> None:
    assert sentences(text) == [text]


def test_quotes_close_with_their_sentence() -> None:
    assert sentences('He said "come here." Then he left.') == ['He said "come here."', "Then he left."]


def test_japanese_sentences_end_without_a_space() -> None:
    parts = [AlignedWord(i * 0.5, (i + 1) * 0.5, t, 0.9, (i,)) for i, t in enumerate("今日は。雨です。")]
    found = ["".join(w.text for w in group) for group in split_sentences(parts, "ja")]
    assert found == ["今日は。", "雨です。"]


def test_a_long_pause_parts_even_a_sentence() -> None:
    own = words("so we waited", 0.4) + words("and waited", 0.4, start=9.0)
    found = ["".join(w.text for w in group).strip() for group in split_sentences(own, "en")]
    assert found == ["so we waited", "and waited"]


def test_what_is_too_long_is_cut_at_a_comma_near_its_middle() -> None:
    text = "one " * 20 + "and then, " + "two " * 20
    found = sentences(text)
    assert found[0].endswith("then,")
    assert all(len(part.split()) * 0.4 <= 12.0 for part in found)


def test_fragments_join_their_neighbour() -> None:
    assert sentences("Oh. Hello there my friend.", step=0.3) == ["Oh. Hello there my friend."]


@given(st.lists(st.sampled_from(["a", "b,", "c.", "Mr.", "?", "d!"]), max_size=60), st.floats(0.05, 3.0))
def test_every_word_stays_once_in_order(parts: list[str], step: float) -> None:
    own = words(" ".join(parts), step)
    assert [word for group in split_sentences(own, "en") for word in group] == own


def test_punctuation_joins_its_word_and_takes_no_time() -> None:
    own = [
        AlignedWord(0.0, 0.5, " times", 0.9, (1,)),
        AlignedWord(0.5, 0.8, ",", 0.5, (2,)),
        AlignedWord(0.8, 0.8, " it", 0.9, (3,)),
        AlignedWord(0.8, 1.0, ' "', 0.4, (4,)),
        AlignedWord(1.0, 1.4, "was", 0.9, (5,)),
        AlignedWord(1.4, 1.5, '"', 0.4, (6,)),
    ]
    merged = merge_punctuation(own)
    assert [(w.text, w.start, w.end) for w in merged] == [
        (" times,", 0.0, 0.5),
        (" it", 0.5, 0.8),
        (' "was"', 1.0, 1.4),
    ]
    assert [t for w in merged for t in w.tokens] == [1, 2, 3, 4, 5, 6]


def test_the_parts_of_a_number_are_one_word() -> None:
    own = [
        AlignedWord(0.0, 0.3, " 3", 0.9, (1,)),
        AlignedWord(0.3, 0.6, ".5", 0.8, (2,)),
        AlignedWord(0.6, 1.0, " percent", 0.9, (3,)),
    ]
    assert [(w.text, w.start, w.end) for w in merge_punctuation(own)] == [
        (" 3.5", 0.0, 0.6),
        (" percent", 0.6, 1.0),
    ]


@pytest.mark.parametrize(
    ("text", "seconds", "wanted"),
    [
        (" One sentence only.", 4.0, False),
        (" One. Two.", 4.0, True),
        (" Mr. Hale came.", 4.0, False),
        (" something without an end", 14.0, True),
        (" 3.5 percent", 2.0, False),
    ],
)
def test_word_times_are_computed_only_where_something_must_be_cut(
    text: str, seconds: float, wanted: bool
) -> None:
    assert needs_words(Phrase(0.0, seconds, text, ()), "en") is wanted
