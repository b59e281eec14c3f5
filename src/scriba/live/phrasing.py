"""Segments made of settled words: a sentence each, or what an utterance leaves."""

from __future__ import annotations

from typing import Any

from scriba.domain.transcript import Segment, Word
from scriba.engine.port import AlignedWord
from scriba.live.snapshot import read_words, written_words
from scriba.transcribe.sentences import ends_sentence, merge_punctuation, split_sentences


class Phrasing:
    """The settled words of one stream that are in no segment yet."""

    def __init__(self) -> None:
        self._open: list[AlignedWord] = []
        self._count = 0

    def add(self, words: list[AlignedWord]) -> None:
        self._open.extend(words)

    def complete(self, language: str, *, whole: bool) -> list[Segment]:
        """The segments that are complete: whole sentences, or everything."""
        if not self._open:
            return []
        sentences = split_sentences(merge_punctuation(self._open, language), language)
        if not whole and not ends_sentence("".join(w.text for w in sentences[-1]).strip(), language):
            rest = sum(len(word.tokens) for word in sentences.pop())
            kept = len(self._open)
            while rest > 0 and kept:
                kept -= 1
                rest -= len(self._open[kept].tokens)
            self._open = self._open[kept:]
        else:
            self._open = []
        return [self._segment(sentence, language) for sentence in sentences]

    def state(self) -> dict[str, Any]:
        """As JSON."""
        return {"open": written_words(self._open), "count": self._count}

    def restore(self, state: dict[str, Any]) -> None:
        self._open = list(read_words(state["open"]))
        self._count = state["count"]

    def _segment(self, words: list[AlignedWord], language: str) -> Segment:
        segment = Segment(
            id=self._count,
            start=words[0].start,
            end=words[-1].end,
            text="".join(word.text for word in words).strip(),
            language=language,
            words=tuple(as_word(word) for word in words),
            tokens=tuple(token for word in words for token in word.tokens),
        )
        self._count += 1
        return segment


def as_word(word: AlignedWord) -> Word:
    """As a transcript has it."""
    return Word(word.start, word.end, word.text, round(word.probability, 4))
