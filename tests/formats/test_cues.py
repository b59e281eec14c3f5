"""Cues: where they are cut, how long they last."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scriba.domain.errors import InvalidOptionError
from scriba.domain.transcript import Segment
from scriba.formats import SUBTITLE_RULES, LineRules, cues
from scriba.formats.graphemes import graphemes, text_width
from tests.formats.transcripts import segment, segments, spoken, without_space

rules = st.builds(
    LineRules,
    max_line_chars=st.none() | st.integers(5, 60),
    max_lines=st.none() | st.integers(1, 3),
    max_duration=st.none() | st.floats(0.2, 10),
    max_gap=st.none() | st.floats(0, 3),
    max_chars_per_second=st.none() | st.floats(1, 40),
)


@given(segments(), rules)
def test_cues_rise_in_time_and_never_overlap(said: list[Segment], limits: LineRules) -> None:
    made = list(cues(said, limits))
    assert [cue.index for cue in made] == list(range(1, len(made) + 1))
    assert all(0 <= cue.start_ms < cue.end_ms for cue in made)
    assert all(earlier.end_ms <= later.start_ms for earlier, later in pairwise(made))
    for cue in made:
        for word in cue.words or ():
            assert cue.start_ms <= word.start_ms <= word.end_ms <= cue.end_ms


@given(segments(), rules)
def test_no_text_is_lost_or_made_up(said: list[Segment], limits: LineRules) -> None:
    made = list(cues(said, limits))
    wanted = without_space("".join(one.text for one in said))
    assert without_space("".join(line for cue in made for line in cue.lines)) == wanted
    assert without_space("".join(cue.text for cue in made)) == wanted
    for cue in made:
        assert cue.words is None or "".join(word.text for word in cue.words) == cue.text


@given(segments(), rules)
def test_cues_keep_within_the_rules(said: list[Segment], limits: LineRules) -> None:
    for cue in cues(said, limits):
        assert cue.lines
        assert all(line and "\n" not in line and _trimmed(line) for line in cue.lines)
        if limits.max_line_chars is not None:
            assert max(map(text_width, cue.lines)) <= limits.max_line_chars
            assert limits.max_lines is None or len(cue.lines) <= limits.max_lines
        else:
            assert len(cue.lines) == 1
        if limits.max_duration is not None:
            assert cue.end_ms - cue.start_ms <= limits.max_duration * 1000


def _trimmed(line: str) -> bool:
    """No space at either end, but for one that carries a combining mark."""
    return line[-1] != " " and graphemes(line)[0] != " "


@given(segments(), rules)
def test_no_line_begins_with_a_mark_of_the_character_before(said: list[Segment], limits: LineRules) -> None:
    for one in said:
        whole = set(_inner_marks(one.text))
        for cue in cues([one], limits):
            for line in cue.lines:
                first = line[0]
                assert unicodedata.category(first)[0] != "M" or (first not in whole)


def _inner_marks(text: str) -> list[str]:
    """Marks that only ever follow another character in this text."""
    inner = {mark for cluster in graphemes(text) for mark in cluster[1:]}
    leading = {cluster[0] for cluster in graphemes(text)} | {
        text[at + 1] for at in range(len(text) - 1) if text[at].isspace() or not text[at].isprintable()
    }
    return sorted(inner - leading)


def test_without_rules_a_segment_is_a_cue_of_one_line() -> None:
    long = "It was the best of times, it was the worst of times, " * 4
    (cue,) = cues([segment(long, 1.25, 9.5)])
    assert cue.lines == (long.strip(),)
    assert (cue.start_ms, cue.end_ms) == (1250, 9500)


def test_lines_are_even_and_break_after_a_comma() -> None:
    text = "It was the best of times, it was the worst of times"
    (cue,) = cues([segment(text, 0, 4)], LineRules(max_line_chars=42, max_lines=2))
    assert cue.lines == ("It was the best of times,", "it was the worst of times")


def test_a_segment_is_cut_at_sentence_ends_in_proportion_to_its_characters() -> None:
    text = "Come here. Where are you going to?"
    first, second = cues([segment(text, 10, 20)], LineRules(max_line_chars=24, max_lines=1))
    assert (first.text, second.text) == ("Come here.", "Where are you going to?")
    assert first.start_ms == 10_000
    assert first.end_ms == second.start_ms == 10_000 + round(10_000 * 9 / 28)
    assert second.end_ms == 20_000


def test_word_times_place_the_cut() -> None:
    said = spoken(("Come", 0.0, 0.4), (" here.", 0.4, 1.0), (" Where", 5.0, 5.4), (" to?", 5.4, 6.0))
    first, second = cues([said], LineRules(max_line_chars=11, max_lines=1))
    assert (first.text, first.end_ms, second.text, second.start_ms) == ("Come here.", 1000, "Where to?", 5000)


def test_a_pause_longer_than_the_gap_starts_a_new_cue_and_the_screen_is_empty_meanwhile() -> None:
    said = spoken(("One", 0.0, 0.5), (" two", 0.6, 1.0), (" three", 4.0, 4.5))
    first, second = cues([said], LineRules(max_gap=2))
    assert (first.text, first.end_ms) == ("One two", 1000)
    assert (second.text, second.start_ms, second.end_ms) == ("three", 4000, 4500)
    assert len(list(cues([said], LineRules(max_gap=3)))) == 1


def test_words_bound_the_cue_so_that_it_does_not_linger_over_silence() -> None:
    said = spoken(("Hello.", 2.0, 2.5))
    held = segment(said.text, 0.0, 12.0, words=said.words)
    (cue,) = cues([held])
    assert (cue.start_ms, cue.end_ms) == (2000, 2500)


def test_a_word_that_alignment_stretched_through_a_silence_is_cut_to_what_can_be_said() -> None:
    said = spoken(("in", 38.34, 38.9), (" the", 38.9, 44.34))
    (cue,) = cues([said])
    assert (cue.start_ms, cue.end_ms) == (38_340, 40_400)
    paused = spoken(("in", 1.0, 1.2), (" the", 1.2, 9.0), (" end", 9.0, 9.5))
    assert [cue.text for cue in cues([paused], LineRules(max_gap=2))] == ["in the", "end"]


def test_a_single_word_cannot_outstay_the_longest_duration() -> None:
    (cue,) = cues([segment("Well.", 0.0, 30.0)], LineRules(max_duration=7))
    assert (cue.start_ms, cue.end_ms) == (0, 7000)


def test_max_duration_cuts_even_parts() -> None:
    text = " ".join(["word"] * 10)
    made = list(cues([segment(text, 0.0, 20.0)], LineRules(max_duration=10.5)))
    assert [cue.text.count("word") for cue in made] == [5, 5]


def test_a_fast_cue_stays_on_into_the_silence_but_not_into_the_next() -> None:
    fast, later = segment("twenty characters ok", 0.0, 0.5), segment("next", 1.5, 3.0, number=1)
    slow = LineRules(max_chars_per_second=10)
    assert [(cue.start_ms, cue.end_ms) for cue in cues([fast], slow)] == [(0, 2000)]
    assert [(cue.start_ms, cue.end_ms) for cue in cues([fast, later], slow)] == [(0, 1500), (1500, 3000)]


def test_words_that_do_not_spell_the_text_are_not_trusted() -> None:
    said = spoken(("Something", 3.0, 4.0), (" else", 4.0, 5.0))
    (cue,) = cues([segment("Corrected text", 1.0, 9.0, words=said.words)])
    assert (cue.start_ms, cue.end_ms, cue.words) == (1000, 9000, None)


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([(1.0, 1.0), (1.0, 2.0)], [(1000, 1001), (1001, 2000)]),
        ([(1.0, 1.0)], [(1000, 1500)]),
        ([(1.0, 1.0), (1.2, 2.0)], [(1000, 1200), (1200, 2000)]),
        ([(1.0, 3.0), (2.0, 4.0)], [(1000, 2000), (2000, 4000)]),
        ([(1.0, 3.0), (1.0, 3.0)], [(1000, 2000), (2000, 3000)]),
        ([(0.9996, 1.9996), (1.9996, 2.0004)], [(1000, 2000), (2000, 2500)]),
    ],
)
def test_awkward_times(times: list[tuple[float, float]], expected: list[tuple[int, int]]) -> None:
    made = cues(segment("x", start, end, number=number) for number, (start, end) in enumerate(times))
    assert [(cue.start_ms, cue.end_ms) for cue in made] == expected


def test_segments_without_text_give_no_cue() -> None:
    assert [cue.text for cue in cues([segment(""), segment(" \n\x00"), segment("a", 1, 2)])] == ["a"]


def test_cues_come_as_the_segments_do() -> None:
    taken: list[int] = []

    def source() -> Iterator[Segment]:
        for number in range(5):
            taken.append(number)
            yield segment("text", number, number + 1, number=number)

    made = cues(source())
    next(made)
    assert taken == [0, 1]  # the one after it, to know how long the cue may stay


def test_the_broadcasters_rules_on_real_prose() -> None:
    prose = (
        "It was the best of times, it was the worst of times, it was the age of wisdom, it was the "
        "age of foolishness, it was the epoch of belief, it was the epoch of incredulity, it was the "
        "season of Light."
    )
    made = list(cues([segment(prose, 0, 14)], SUBTITLE_RULES))
    assert [cue.lines for cue in made] == [
        ("It was the best of times, it was the", "worst of times, it was the age of wisdom,"),
        ("it was the age of foolishness,", "it was the epoch of belief,"),
        ("it was the epoch of incredulity,", "it was the season of Light."),
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_line_chars", 4),
        ("max_line_chars", 10_001),
        ("max_line_chars", 42.5),
        ("max_line_chars", True),
        ("max_lines", 0),
        ("max_lines", 101),
        ("max_duration", 0.1),
        ("max_duration", float("nan")),
        ("max_duration", float("inf")),
        ("max_gap", -0.1),
        ("max_chars_per_second", 0.5),
    ],
)
def test_rules_out_of_bounds_are_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(InvalidOptionError, match=name) as refused:
        LineRules(**{name: value})  # type: ignore[arg-type]
    assert refused.value.field == name
