"""From passes over a window to segments of the recording, before anything is judged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from scriba.domain.transcript import Word
from scriba.engine.port import AlignedWord, Decoded, Phrase
from scriba.transcribe.listening import HeardPhrase, Pass
from scriba.transcribe.sentences import LONGEST_SEGMENT, ends_sentence, split_sentences
from scriba.transcribe.windows import Window

_TRUSTED = 0.5
"""Seconds by which a phrase's timestamps may differ from its words and still be believed."""
_FRAGMENT = 1.5
"""Seconds below which a phrase cut off from its sentence is not worth a segment of its own."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A segment to be: times in seconds of the recording, with the evidence the guards judge it by."""

    start: float
    end: float
    text: str
    words: tuple[Word, ...] | None
    tokens: tuple[int, ...]
    seek: float
    decoded: Decoded
    silent: bool
    speech_probability: float
    """Mean probability of speech over its time, by voice activity detection."""


def draft_segments(window: Window, passes: Sequence[Pass], language: str) -> list[Draft]:
    """Drafts in order, cut into sentences where word times are known, each with times of the recording."""
    drafts: list[Draft] = []
    for heard in passes:
        for phrase in _join_fragments(window, heard.phrases, language):
            drafts.extend(_cut(window, heard, phrase, language))
    # What was missed at first stands between what was heard.
    return sorted(drafts, key=lambda draft: draft.start)


def _join_fragments(window: Window, phrases: Sequence[HeardPhrase], language: str) -> list[HeardPhrase]:
    """Whisper's timestamps leave the last word of a sentence alone now and then: give it back."""
    joined: list[HeardPhrase] = []
    for heard in phrases:
        if joined and _belongs(window, joined[-1].phrase, heard.phrase, language):
            before = joined[-1]
            words = before.words + heard.words if before.words and heard.words else None
            first, second = before.phrase, heard.phrase
            whole = Phrase(first.start, second.end, first.text + second.text, first.tokens + second.tokens)
            joined[-1] = HeardPhrase(whole, words)
        else:
            joined.append(heard)
    return joined


def _belongs(window: Window, first: Phrase, second: Phrase, language: str) -> bool:
    short = min(first.end - first.start, second.end - second.start) < _FRAGMENT
    close = second.start - first.end < _TRUSTED and not window.crosses_cut(first.start, second.end)
    fits = second.end - first.start <= LONGEST_SEGMENT
    return short and close and fits and not ends_sentence(first.text.strip(), language)


def _cut(window: Window, heard: Pass, phrase: HeardPhrase, language: str) -> Iterator[Draft]:
    whole = phrase.phrase
    if not phrase.words:
        yield _draft(window, heard, (whole.start, whole.end), whole.text, None, whole.tokens)
        return
    # Sentences are cut by times of the recording: a pause that was left out of the window still parts them.
    restored = [_restored(window, word) for word in phrase.words]
    done = 0
    for words in split_sentences(restored, language):
        inner = phrase.words[done : done + len(words)]
        done += len(words)
        text = "".join(word.text for word in words)
        if not text.strip():
            continue
        start, end = inner[0].start, inner[-1].end
        # A phrase's own timestamps are better than attention at its two ends, where that tends to spread.
        if inner[0] is phrase.words[0] and abs(start - whole.start) <= _TRUSTED:
            start = whole.start
        if inner[-1] is phrase.words[-1] and abs(whole.end - end) <= _TRUSTED:
            end = whole.end
        only = len(words) == len(phrase.words)
        tokens = whole.tokens if only else tuple(token for word in words for token in word.tokens)
        yield _draft(window, heard, (start, end), text, words, tokens)


def _restored(window: Window, word: AlignedWord) -> AlignedWord:
    start, end = _rounded(*window.restore_span(word.start, word.end))
    return AlignedWord(start, end, word.text, word.probability, word.tokens)


def _draft(
    window: Window,
    heard: Pass,
    span: tuple[float, float],
    text: str,
    words: Sequence[AlignedWord] | None,
    tokens: tuple[int, ...],
) -> Draft:
    """``span`` is in seconds of the window, ``words`` are in seconds of the recording."""
    start, end = window.trim(*span)
    file_start = window.restore(start)
    file_end = window.restore(end, ends=True)
    said: tuple[Word, ...] | None = None
    if words is not None:
        said = tuple(Word(word.start, word.end, word.text, round(word.probability, 4)) for word in words)
        # Attention and timestamps may fall on different sides of a cut; words know their piece.
        if not said[0].start - _TRUSTED <= file_start <= said[0].end:
            file_start = said[0].start
        if not said[-1].start <= file_end <= said[-1].end + _TRUSTED:
            file_end = said[-1].end
        said = _within(said, file_start, file_end)
    file_start, file_end = _rounded(file_start, max(file_start, file_end))
    return Draft(
        start=file_start,
        end=file_end,
        text=text.strip(),
        words=said,
        tokens=tokens,
        seek=window.restore(heard.offset),
        decoded=heard.decoded,
        silent=heard.silent,
        speech_probability=window.speech_probability(start, max(end, start + 0.1)),
    )


def _within(words: tuple[Word, ...], start: float, end: float) -> tuple[Word, ...]:
    """Words that reach over the edges of their segment are cut back to them."""
    low, high = _rounded(start, end)
    return tuple(
        Word(min(max(word.start, low), high), min(max(word.end, low), high), word.text, word.probability)
        for word in words
    )


def _rounded(start: float, end: float) -> tuple[float, float]:
    """Milliseconds are finer than any model hears, and end no earlier than they start."""
    first = round(start, 3)
    return first, max(first, round(end, 3))
