"""Segments as cues: what stands on the screen from when to when."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from scriba.domain.transcript import Segment
from scriba.formats.graphemes import clean_text, text_width
from scriba.formats.partition import CLAUSE_PENALTY, break_penalty, partition
from scriba.formats.pieces import Piece, join_pieces, split_pieces
from scriba.formats.rules import LineRules
from scriba.formats.timeline import Timeline
from scriba.formats.times import milliseconds

_BRIEF_MS = 500
"""How long a cue without any duration is shown, where there is room."""
_PAUSE_SECONDS = 0.3
"""A pause that makes a good place to end a cue, as a comma does."""
_CUE_WEIGHT = 3.0
"""How much more than a line's end a cue's end should fall where a sentence or a clause ends."""


@dataclass(frozen=True, slots=True)
class CueWord:
    """A word of a cue. ``text`` keeps a leading space where one stands before it. Times are milliseconds."""

    start_ms: int
    end_ms: int
    text: str


@dataclass(frozen=True, slots=True)
class Cue:
    """One subtitle. Times are whole milliseconds; ``end_ms > start_ms``, and cues never overlap.

    ``text`` is on one line, ``lines`` is the same text as it is to be shown. ``words`` is None where the
    segment has no word times.
    """

    index: int
    start_ms: int
    end_ms: int
    text: str
    lines: tuple[str, ...]
    segment_id: int
    words: tuple[CueWord, ...] | None = None
    speaker: str | None = None


def cues(segments: Iterable[Segment], rules: LineRules | None = None) -> Iterator[Cue]:
    """Cues of segments in order of time, each as soon as the segment after it is known.

    Numbered from 1. Segments without text give none. Where times of segments overlap, the earlier gives way.
    """
    rules = rules or LineRules()
    held: Cue | None = None
    for segment in segments:
        for cue in _of_segment(segment, rules):
            if held is None:
                held = replace(cue, index=1)
                continue
            held, following = _parted(held, cue)
            yield _lengthened(held, rules, following.start_ms)
            held = replace(following, index=held.index + 1)
    if held is not None:
        yield _lengthened(held, rules, None)


def _of_segment(segment: Segment, rules: LineRules) -> Iterator[Cue]:
    text = clean_text(segment.text)
    if not text:
        return
    timeline = Timeline(segment)
    pieces = split_pieces(text, rules.max_line_chars)
    for first, end in _between_pauses(pieces, timeline, rules.max_gap):
        chunk = pieces[first:end]
        reach = [_reach(chunk, at, timeline, rules) for at in range(len(chunk))]
        for start, stop in partition(_columns(chunk), reach, _cue_penalty(chunk, timeline)):
            yield _cue(segment, chunk[start:stop], timeline, rules)


def _between_pauses(
    pieces: list[Piece], timeline: Timeline, max_gap: float | None
) -> Iterator[tuple[int, int]]:
    first = 0
    if max_gap is not None and timeline.has_words:
        for at in range(1, len(pieces)):
            if _pause(pieces, timeline, at) > max_gap:
                yield first, at
                first = at
    yield first, len(pieces)


def _pause(pieces: list[Piece], timeline: Timeline, at: int) -> float:
    """Seconds of silence before piece ``at``."""
    return timeline.start_of(pieces[at].first) - timeline.end_of(pieces[at - 1].end)


def _columns(pieces: list[Piece]) -> list[float]:
    return [piece.width + piece.space for piece in pieces]


def _cue_penalty(pieces: list[Piece], timeline: Timeline) -> Callable[[int], float]:
    def penalty(at: int) -> float:
        found = break_penalty(pieces[at - 1].text)
        paused = _pause(pieces, timeline, at) >= _PAUSE_SECONDS
        return _CUE_WEIGHT * (min(found, CLAUSE_PENALTY) if paused else found)

    return penalty


def _reach(pieces: list[Piece], first: int, timeline: Timeline, rules: LineRules) -> int:
    """End of the longest cue within the rules that begins with piece ``first``; always one piece."""
    if rules.max_duration is None and (rules.max_lines is None or rules.max_line_chars is None):
        return len(pieces)
    start = timeline.start_of(pieces[first].first)
    lines, used = 1, pieces[first].width
    for at in range(first + 1, len(pieces)):
        piece = pieces[at]
        if rules.max_line_chars is not None and rules.max_lines is not None:
            used += piece.space + piece.width
            if used > rules.max_line_chars:
                lines, used = lines + 1, piece.width
            if lines > rules.max_lines:
                return at
        too_long = rules.max_duration is not None and timeline.end_of(piece.end) - start > rules.max_duration
        if too_long:
            return at
    return len(pieces)


def _lines(pieces: list[Piece], max_line_chars: int | None) -> tuple[str, ...]:
    """The pieces on the fewest lines that hold them, as even as can be."""
    if max_line_chars is None:
        return (join_pieces(pieces),)
    reach: list[int] = []
    for first in range(len(pieces)):
        used, end = pieces[first].width, first + 1
        while end < len(pieces) and used + pieces[end].width + pieces[end].space <= max_line_chars:
            used += pieces[end].width + pieces[end].space
            end += 1
        reach.append(end)
    ranges = partition(_columns(pieces), reach, lambda at: break_penalty(pieces[at - 1].text))
    return tuple(join_pieces(pieces[first:end]) for first, end in ranges)


def _cue(segment: Segment, pieces: list[Piece], timeline: Timeline, rules: LineRules) -> Cue:
    start = milliseconds(timeline.start_of(pieces[0].first))
    end = max(start, milliseconds(timeline.end_of(pieces[-1].end)))
    if rules.max_duration_ms is not None:
        end = min(end, start + rules.max_duration_ms)
    return Cue(
        index=0,
        start_ms=start,
        end_ms=end,
        text=join_pieces(pieces),
        lines=_lines(pieces, rules.max_line_chars),
        segment_id=segment.id,
        words=_words(pieces, timeline) if timeline.has_words else None,
        speaker=segment.speaker,
    )


def _words(pieces: list[Piece], timeline: Timeline) -> tuple[CueWord, ...]:
    words: list[CueWord] = []
    for number, piece in enumerate(pieces):
        text = (" " if piece.space and number else "") + piece.text
        end = milliseconds(timeline.end_of(piece.end))
        if words and not timeline.begins_word(piece.first):
            words[-1] = CueWord(words[-1].start_ms, end, words[-1].text + text)
        else:
            words.append(CueWord(milliseconds(timeline.start_of(piece.first)), end, text))
    return tuple(words)


def _parted(earlier: Cue, later: Cue) -> tuple[Cue, Cue]:
    """The two without overlap, both with some duration."""
    start = max(later.start_ms, earlier.start_ms)
    end = earlier.end_ms
    if start < end and start - earlier.start_ms < min(_BRIEF_MS, (end - earlier.start_ms) // 2):
        start = (earlier.start_ms + end) // 2  # they begin together: share the time
    start = max(start, earlier.start_ms + 1)
    return replace(earlier, end_ms=min(end, start)), replace(
        later, start_ms=start, end_ms=max(later.end_ms, start)
    )


def _lengthened(cue: Cue, rules: LineRules, next_start: int | None) -> Cue:
    """The cue with the time it needs to be read, as far as the silence after it allows."""
    wanted = cue.end_ms
    if wanted == cue.start_ms:
        wanted += _BRIEF_MS
    if rules.max_chars_per_second is not None:
        needed = math.ceil(1000 * text_width(cue.text) / rules.max_chars_per_second)
        wanted = max(wanted, cue.start_ms + needed)
    if rules.max_duration_ms is not None:
        wanted = min(wanted, cue.start_ms + rules.max_duration_ms)
    if next_start is not None:
        wanted = min(wanted, next_start)
    end = max(wanted, cue.start_ms + 1)
    words = cue.words and tuple(_clipped(word, cue.start_ms, end) for word in cue.words)
    return replace(cue, end_ms=end, words=words)


def _clipped(word: CueWord, start_ms: int, end_ms: int) -> CueWord:
    start = min(max(word.start_ms, start_ms), end_ms)
    return CueWord(start, min(max(word.end_ms, start), end_ms), word.text)
