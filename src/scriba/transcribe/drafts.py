"""From passes over a window to segments of the recording, before anything is judged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from scriba.domain.transcript import Word
from scriba.engine.port import AlignedWord, Decoded
from scriba.transcribe.listening import HeardPhrase, Pass
from scriba.transcribe.sentences import split_sentences
from scriba.transcribe.windows import Window


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
        for phrase in heard.phrases:
            drafts.extend(_cut(window, heard, phrase, language))
    return drafts


def _cut(window: Window, heard: Pass, phrase: HeardPhrase, language: str) -> Iterator[Draft]:
    if not phrase.words:
        if phrase.phrase.text.strip():
            yield _draft(
                window,
                heard,
                phrase.phrase.start,
                phrase.phrase.end,
                phrase.phrase.text,
                None,
                phrase.phrase.tokens,
            )
        return
    pieces = split_sentences(phrase.words, language)
    for index, words in enumerate(pieces):
        text = "".join(word.text for word in words)
        if not text.strip():
            continue
        # A phrase's own timestamps are better than attention at its two ends, where that tends to spread.
        start = phrase.phrase.start if index == 0 else words[0].start
        end = phrase.phrase.end if index == len(pieces) - 1 else words[-1].end
        if words[0].start - start > 0.5:
            start = words[0].start
        if end < words[-1].start or end - words[-1].end > 0.5:
            end = words[-1].end
        tokens = (
            phrase.phrase.tokens
            if len(pieces) == 1
            else tuple(token for word in words for token in word.tokens)
        )
        yield _draft(window, heard, start, end, text, words, tokens)


def _draft(
    window: Window,
    heard: Pass,
    start: float,
    end: float,
    text: str,
    words: Sequence[AlignedWord] | None,
    tokens: tuple[int, ...],
) -> Draft:
    restored: tuple[Word, ...] | None = None
    if words is not None:
        restored = tuple(
            Word(*_rounded(*window.restore_span(word.start, word.end)), word.text, round(word.probability, 4))
            for word in words
        )
    file_start = window.restore(start)
    file_end = max(file_start, window.restore(end, ends=True))
    if restored:
        file_start = min(file_start, restored[0].start)
        file_end = max(file_end, restored[-1].end)
    file_start, file_end = _rounded(file_start, file_end)
    return Draft(
        start=file_start,
        end=file_end,
        text=text.strip(),
        words=restored,
        tokens=tokens,
        seek=window.restore(heard.offset),
        decoded=heard.decoded,
        silent=heard.silent,
        speech_probability=window.speech_probability(start, max(end, start + 0.1)),
    )


def _rounded(start: float, end: float) -> tuple[float, float]:
    """Milliseconds are finer than any model hears, and end no earlier than they start."""
    first = round(start, 3)
    return first, max(first, round(end, 3))
