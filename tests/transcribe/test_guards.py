"""What is withheld, why, and what is left alone."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scriba.domain.transcript import Suppressed, SuppressionReason, Word
from scriba.engine.fake import says
from scriba.transcribe.drafts import Draft
from scriba.transcribe.guards import Guards, cut_loop, find_loop
from scriba.transcribe.stock_phrases import COMMON_PHRASES, CREDITS
from scriba.transcribe.text import normalise


def draft(
    text: str, *, voice: float = 0.95, silent: bool = False, start: float = 1.0, **evidence: float
) -> Draft:
    return Draft(
        start=start,
        end=start + 2.0,
        text=text,
        words=None,
        tokens=(),
        seek=0.0,
        decoded=says(text, **evidence),
        silent=silent,
        speech_probability=voice,
    )


def verdict(*drafts: Draft) -> list[str | SuppressionReason]:
    return [found.reason if isinstance(found, Suppressed) else found.text for found in Guards().judge(drafts)]


@pytest.mark.parametrize(
    "text", ["Thank you.", "Thanks for watching!", "Okay.", "You", "no no no", "Bye!", "Music"]
)
def test_clear_speech_is_believed_whatever_it_says(text: str) -> None:
    assert verdict(draft(text)) == [text]


@pytest.mark.parametrize(
    ("own", "reason"),
    [
        (draft("Thanks for watching!", voice=0.3), SuppressionReason.KNOWN_PHRASE),
        (draft("Thanks for watching!", avg_logprob=-0.8), SuppressionReason.KNOWN_PHRASE),
        (draft("Thank you.", no_speech_prob=0.5), SuppressionReason.KNOWN_PHRASE),
        (draft("ご視聴ありがとうございました", voice=0.2), SuppressionReason.KNOWN_PHRASE),
        (draft("Teksting av Nicolai Winther", no_speech_prob=0.7), SuppressionReason.KNOWN_PHRASE),
        (draft("What is it?", silent=True), SuppressionReason.NO_SPEECH),
        (draft("...", voice=0.9), SuppressionReason.NO_SPEECH),
        (draft("Some words", avg_logprob=-1.4, voice=0.3), SuppressionReason.LOW_CONFIDENCE),
        (draft("Some words", avg_logprob=-1.4, no_speech_prob=0.4), SuppressionReason.LOW_CONFIDENCE),
    ],
)
def test_evidence_withholds(own: Draft, reason: SuppressionReason) -> None:
    assert verdict(own) == [reason]


def test_an_english_model_writes_no_english_over_another_language() -> None:
    own = draft("Their hint of this impotale in the realm", avg_logprob=-0.95)
    [found] = Guards(english_unsaid=True).judge([own])
    assert isinstance(found, Suppressed)
    assert found.reason is SuppressionReason.NOT_ENGLISH
    assert Guards().judge([own]) == [own]
    clear = draft("Turn on the light.", avg_logprob=-0.6)
    assert Guards(english_unsaid=True).judge([clear]) == [clear]


def test_doubt_alone_does_not_withhold_what_people_say() -> None:
    assert verdict(draft("Okay.", avg_logprob=-0.8)) == ["Okay."]
    assert verdict(draft("Hard to hear", avg_logprob=-1.4)) == ["Hard to hear"]


def test_text_that_takes_no_time_was_written_over_the_padding() -> None:
    own = draft("That's right.")
    assert verdict(replace(own, end=own.start)) == [SuppressionReason.NO_SPEECH]


def test_a_loop_is_cut_and_listed() -> None:
    kept, loop = Guards().judge([draft("I went home " + "and then we " * 10)])
    assert isinstance(kept, Draft)
    assert kept.text == "I went home and then we"
    assert isinstance(loop, Suppressed)
    assert loop.reason is SuppressionReason.REPETITION
    assert loop.text == ("and then we " * 9).strip()
    assert kept.end == loop.start < loop.end


def test_a_loop_inside_keeps_what_follows_and_word_times() -> None:
    texts = [" A", *[" b", " c"] * 6, " end"]
    words = tuple(Word(i * 0.1, i * 0.1 + 0.1, text, 0.9) for i, text in enumerate(texts))
    own = replace(draft("".join(texts).strip()), words=words, start=0.0, end=1.4)
    kept, loop = cut_loop(own)
    assert kept is not None
    assert loop is not None
    assert kept.text == "A b c end"
    assert kept.words is not None
    assert [word.text for word in kept.words] == [" A", " b", " c", " end"]
    assert (kept.start, kept.end) == (0.0, 1.4)
    assert (round(loop.start, 3), round(loop.end, 3)) == (0.3, 1.3)


@pytest.mark.parametrize(
    "text",
    [
        "no no no no no",
        "again and again and again",
        "It was the best of times, it was the worst of times, it was the age of wisdom",
        "ha ha ha ha",
        "one two one two one two",
    ],
)
def test_what_people_repeat_is_not_a_loop(text: str) -> None:
    assert find_loop([normalise(word) for word in text.split()]) is None


def test_loops_without_spaces_are_found() -> None:
    kept, loop = cut_loop(draft("それで" + "ありがとう" * 12))
    assert kept is not None
    assert loop is not None
    assert kept.text == "それでありがとう"


def test_the_same_sentence_over_and_over_from_a_doubting_model_is_withheld_from_the_third_on() -> None:
    line = "And that is that."
    results = verdict(*[draft(line, start=float(i), avg_logprob=-0.9) for i in range(5)])
    assert results == [line, line, *[SuppressionReason.REPETITION] * 3]


def test_a_confident_refrain_stays() -> None:
    line = "Row, row, row your boat."
    assert verdict(*[draft(line, start=float(i)) for i in range(5)]) == [line] * 5


def test_lists_are_written_as_texts_are_compared() -> None:
    for phrase in COMMON_PHRASES | CREDITS:
        assert normalise(phrase) == phrase
    assert not COMMON_PHRASES & CREDITS


@given(st.lists(st.sampled_from(["a", "b", "c"]), max_size=60))
def test_cutting_ends_and_only_removes_rounds_already_said(units: list[str]) -> None:
    found = find_loop(units)
    if found is not None:
        keep, resume = found
        assert 0 < keep < resume <= len(units)
        cut = units[keep:resume]
        rounds = [length for length in range(1, keep + 1) if units[keep - length : keep] == cut[:length]]
        assert any(cut == (cut[:length] * len(cut))[: len(cut)] for length in rounds)
        assert resume == len(units) or any(len(cut) % length == 0 for length in rounds)
