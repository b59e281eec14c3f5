"""When each character of a segment is said."""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from scriba.domain.transcript import Segment, Word
from scriba.formats.graphemes import clean_text, text_width


def _inked(text: str) -> str:
    return "".join(char for char in clean_text(text) if not char.isspace())


def _longest(word: str) -> float:
    """Seconds that saying a word can take. Alignment stretches the last word before a silence through it."""
    return max(1.5, 0.25 * text_width(word))


class Timeline:
    """Seconds by offset into a segment's text, white space not counted.

    From word times where the words spell the segment's text, else in proportion to the characters.
    """

    def __init__(self, segment: Segment) -> None:
        text = _inked(segment.text)
        words = [(word, _inked(word.text)) for word in segment.words or ()]
        self.has_words = bool(words) and "".join(ink for _, ink in words) == text
        if self.has_words:
            spans = [(word, len(ink)) for word, ink in words if ink]
        else:
            spans = [(Word(segment.start, segment.end, text, 1.0), max(1, len(text)))]
        self._starts: list[float] = []
        self._ends: list[float] = []
        self._offsets = [0]
        earliest = 0.0
        for word, length in spans:
            start = max(word.start, earliest)
            end = min(word.end, start + _longest(word.text)) if self.has_words else word.end
            earliest = max(start, end)
            self._starts.append(start)
            self._ends.append(earliest)
            self._offsets.append(self._offsets[-1] + length)

    def start_of(self, offset: int) -> float:
        """Seconds at which the character at ``offset`` begins."""
        return self._at(bisect_right(self._offsets, offset) - 1, offset)

    def end_of(self, offset: int) -> float:
        """Seconds at which the character before ``offset`` ends."""
        return self._at(bisect_left(self._offsets, offset) - 1, offset)

    def begins_word(self, offset: int) -> bool:
        """Whether a word begins at ``offset``."""
        place = bisect_left(self._offsets, offset)
        return place < len(self._offsets) and self._offsets[place] == offset

    def _at(self, span: int, offset: int) -> float:
        span = min(max(span, 0), len(self._starts) - 1)
        start, end = self._starts[span], self._ends[span]
        first, after = self._offsets[span], self._offsets[span + 1]
        return start + (end - start) * min(1.0, max(0.0, (offset - first) / (after - first)))
