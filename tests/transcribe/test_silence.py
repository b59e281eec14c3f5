"""Text that stands alone in silence and looks made up."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scriba.domain.transcript import Suppressed, SuppressionReason, Word
from scriba.engine.port import AlignedWord, Decoded
from scriba.transcribe.drafts import Draft
from scriba.transcribe.sentences import merge_punctuation
from scriba.transcribe.silence import is_odd, withhold_in_silence

DECODED = Decoded((), 1.0, 0.0, -0.3, 1.0, 0.1)


def draft(start: float, end: float, *, odd: bool) -> Draft:
    probability, length = (0.05, 0.05) if odd else (0.9, 0.3)
    words = tuple(Word(start + n, start + n + length, f" word{n}", probability) for n in range(3))
    return Draft(start, end, "word0 word1 word2", words, (), 0.0, DECODED, False, 0.9)


@pytest.mark.parametrize(
    ("odd", "start", "after", "withheld"),
    [
        (True, 10.0, 40.0, True),
        (False, 10.0, 40.0, False),  # it looks like speech
        (True, 6.0, 40.0, False),  # close behind what was said before
    ],
)
def test_only_what_is_odd_and_alone_is_withheld(
    odd: bool, start: float, after: float, withheld: bool
) -> None:
    [verdict] = withhold_in_silence([draft(start, start + 3, odd=odd)], 2.0, 5.0, after)
    assert isinstance(verdict, Suppressed) == withheld
    if isinstance(verdict, Suppressed):
        assert (verdict.reason, verdict.text) == (SuppressionReason.SILENCE, "word0 word1 word2")


def test_a_neighbour_that_is_kept_keeps_it() -> None:
    first, second = draft(10.0, 13.0, odd=True), draft(14.0, 17.0, odd=False)
    assert withhold_in_silence([first, second], 2.0, 0.0, 30.0) == [first, second]
    apart = replace(second, start=16.0)
    verdicts = withhold_in_silence([first, apart], 2.0, 0.0, 30.0)
    assert [isinstance(one, Suppressed) for one in verdicts] == [True, False]


def test_words_are_odd_by_what_the_original_says() -> None:
    assert not is_odd(())
    assert is_odd([Word(0, 0.3, " a", 0.1)])
    assert not is_odd([Word(0, 0.3, " a", 0.2), Word(1, 1.3, " b", 0.9)])
    assert is_odd([Word(0, 6.0, " a", 0.9), Word(6, 6.3, " b", 0.9), Word(7, 7.3, " c", 0.9)])


def test_signs_go_where_the_request_says() -> None:
    words = [
        AlignedWord(0.0, 0.5, " Yes", 0.9, (1,)),
        AlignedWord(0.5, 0.6, ",", 0.9, (2,)),
        AlignedWord(0.6, 0.7, " (", 0.9, (3,)),
        AlignedWord(0.7, 1.0, "no", 0.9, (4,)),
        AlignedWord(1.0, 1.1, ")", 0.9, (5,)),
    ]
    assert [word.text for word in merge_punctuation(words)] == [" Yes,", " (no)"]
    alone = merge_punctuation(words, appended=")", prepended="(")
    assert [word.text for word in alone] == [" Yes", ",", " (no)"]
    apart = merge_punctuation(words, appended=",", prepended="")
    assert [word.text for word in apart] == [" Yes,", " (no", ")"]
