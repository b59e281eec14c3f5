"""Segments that are sentences or short phrases, cut by the times of their words."""

from __future__ import annotations

import re
from collections.abc import Sequence

from scriba.domain.transcript import SPACELESS_LANGUAGES
from scriba.engine.port import AlignedWord, Phrase

_ENDS_SENTENCE = re.compile(r"[.!?。！？…؟।]+[\"'”’»)\]」』]*$")
_INNER_END = re.compile(r"[.!?…؟।][\"'”’»)\]]*(?=\s)|[。！？](?=.)")
_ENDS_CLAUSE = re.compile(r"[,;:，、；：،]+[\"'”’»)\]」』]*$")
_ABBREVIATION = re.compile(
    r"(?:^|\s)(?:(?:mr|mrs|ms|dr|prof|st|sr|jr|vs|etc|no|vol|fig|inc|ltd|co|col|gen|lt|sgt|rev|hon|e\.g|i\.e|"
    r"bzw|ca|nr|usw|str|m|mme|mlle)|[^\W\d_](?:\.[^\W\d_])*)\.$",
    re.IGNORECASE,
)
LONGEST_SEGMENT = 12.0
"""Seconds after which a phrase without a full stop is cut at a comma or the longest pause."""
_SHORTEST = 0.8
_PAUSE = 2.0
"""Seconds of silence that end a segment even in mid-sentence: no subtitle should stand through them."""

PREPENDED = "\"'“¿([{-「『"
APPENDED = "\"'.。,，!！?？:：”)]}、…;；」』"


def needs_words(phrase: Phrase, language: str) -> bool:
    """True when the phrase must be cut, which takes the times of its words."""
    if phrase.end - phrase.start > LONGEST_SEGMENT:
        return True
    text = phrase.text.strip()
    return any(ends_sentence(text[: mark.end()], language) for mark in _INNER_END.finditer(text))


def ends_sentence(text: str, language: str) -> bool:
    """True when ``text`` closes a sentence, and not merely an abbreviation."""
    if not _ENDS_SENTENCE.search(text):
        return False
    if language in SPACELESS_LANGUAGES:
        return True
    return not _ABBREVIATION.search(text)


def merge_punctuation(
    words: Sequence[AlignedWord],
    language: str = "en",
    *,
    prepended: str | None = None,
    appended: str | None = None,
) -> list[AlignedWord]:
    """Punctuation goes to the word it belongs to and takes no time of its own.

    ``prepended`` are signs that belong to the next word, ``appended`` to the one before; None is the usual
    ones. Another sign is a word of its own where somebody said which are not.
    """
    free = appended is not None or prepended is not None
    opens = PREPENDED if prepended is None else prepended
    closes = APPENDED if appended is None else appended
    merged: list[AlignedWord] = []
    opening: AlignedWord | None = None
    closing_start: float | None = None
    for word in words:
        mark = word.text.strip()
        if not mark:
            continue
        if (
            merged
            and opening is None
            and all(character in closes for character in mark)
            and word.text[:1] != " "
        ):
            last = merged[-1]
            merged[-1] = AlignedWord(
                last.start, last.end, last.text + word.text, last.probability, last.tokens + word.tokens
            )
            closing_start = word.start
            continue
        if all(character in opens for character in mark):
            opening = word if opening is None else _joined(opening, word)
            continue
        joins = language not in SPACELESS_LANGUAGES and opening is None and bool(merged)
        alone = free and not any(character.isalnum() for character in mark)
        if joins and not alone and word.text[:1] != " ":
            merged[-1] = _joined(merged[-1], word, end=word.end)  # the ".5" of "3.5"
            continue
        start = word.start
        # Attention often lands on the comma while the next word is already spoken.
        if word.end - start < 0.06 and closing_start is not None and closing_start < start:
            start = closing_start
        current = AlignedWord(start, word.end, word.text, word.probability, word.tokens)
        if opening is not None:
            current = AlignedWord(
                start,
                word.end,
                opening.text + word.text.lstrip(),
                word.probability,
                opening.tokens + word.tokens,
            )
            opening = None
        merged.append(current)
        closing_start = None
    if opening is not None and merged:
        merged[-1] = _joined(merged[-1], opening)
    return merged


def _joined(first: AlignedWord, second: AlignedWord, end: float | None = None) -> AlignedWord:
    return AlignedWord(
        first.start,
        first.end if end is None else end,
        first.text + second.text,
        first.probability,
        first.tokens + second.tokens,
    )


def split_sentences(words: Sequence[AlignedWord], language: str) -> list[list[AlignedWord]]:
    """Groups of words: cut after each sentence, at each long pause, and within what is too long at its best
    place."""
    sentences: list[list[AlignedWord]] = [[]]
    text = ""
    for index, word in enumerate(words):
        sentences[-1].append(word)
        text += word.text
        following = words[index + 1] if index + 1 < len(words) else None
        if following is None:
            break
        if following.start - word.end >= _PAUSE or ends_sentence(text.strip(), language):
            sentences.append([])
            text = ""
    pieces = [piece for sentence in sentences for piece in _split_long(sentence)]
    return _join_fragments([piece for piece in pieces if piece])


def _split_long(words: list[AlignedWord]) -> list[list[AlignedWord]]:
    if len(words) < 4 or words[-1].end - words[0].start <= LONGEST_SEGMENT:
        return [words]
    middle = (words[0].start + words[-1].end) / 2

    def merit(cut: int) -> float:
        """A comma is worth a second of pause; the middle is better than the edge."""
        before, after = words[cut - 1], words[cut]
        clause = 1.0 if _ENDS_CLAUSE.search(before.text.strip()) else 0.0
        off_centre = abs(after.start - middle) / (words[-1].end - words[0].start)
        return clause + (after.start - before.end) - 2.0 * off_centre

    cut = max(range(2, len(words) - 1), key=merit)
    return _split_long(words[:cut]) + _split_long(words[cut:])


def _join_fragments(pieces: list[list[AlignedWord]]) -> list[list[AlignedWord]]:
    """A piece too short to be read joins its neighbour, unless a pause stands between them."""
    joined: list[list[AlignedWord]] = []
    for piece in pieces:
        if joined:
            last = joined[-1]
            short = min(piece[-1].end - piece[0].start, last[-1].end - last[0].start) < _SHORTEST
            close = piece[0].start - last[-1].end < 0.5
            if short and close and piece[-1].end - last[0].start <= LONGEST_SEGMENT:
                joined[-1] = last + piece
                continue
        joined.append(piece)
    return joined
