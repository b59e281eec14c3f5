"""Words and segments to speakers: every word stays, and a segment ends where the speaker changes."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import accumulate, groupby

from scriba.domain.speakers import SpeakerTurn
from scriba.domain.transcript import Segment, Word

_FLICKER_SECONDS = 0.5
"""A shorter run of words between two of another speaker's is a turn's blurred edge."""


class Speakers:
    """Answers who speaks at a time. ``turns`` are in order of start."""

    def __init__(self, turns: Sequence[SpeakerTurn]) -> None:
        self._turns = tuple(turns)
        self._starts = [turn.start for turn in self._turns]
        self._reach = list(accumulate((turn.end for turn in self._turns), max))

    def at(self, start: float, end: float, before: str | None = None) -> str | None:
        """Who speaks most of the time from ``start`` to ``end``; where nobody does, who is nearest.

        Of two who speak as much, ``before``, who spoke before, goes on. None where there are no turns.
        """
        shares: dict[str, float] = {}
        nearest: tuple[float, str] | None = None
        for turn in self._near(start, end):
            shared = min(end, turn.end) - max(start, turn.start)
            if shared > 0 or (shared == 0 and start == end):
                shares[turn.speaker] = shares.get(turn.speaker, 0.0) + max(shared, 1e-6)
            elif nearest is None or -shared < nearest[0]:
                nearest = (-shared, turn.speaker)
        if shares:
            most = max(shares.values())
            if before is not None and shares.get(before, 0.0) >= most - 0.05 * (end - start):
                return before
            return max(shares, key=lambda name: shares[name])
        return nearest[1] if nearest else None

    def _near(self, start: float, end: float) -> Iterator[SpeakerTurn]:
        """All turns that touch the time, and the last before and the first after it."""
        first = bisect_left(self._starts, end)
        if first < len(self._turns):
            yield self._turns[first]
        for index in range(first - 1, -1, -1):
            if self._reach[index] < start:
                # Nothing before reaches so far; what reaches farthest is the nearest.
                reach = self._reach[index]
                yield next(turn for turn in reversed(self._turns[: index + 1]) if turn.end == reach)
                return
            yield self._turns[index]

    def label(self, segment: Segment, *, words: bool) -> list[Segment]:
        """The segment by speakers: one for each run of words of one speaker, all with the segment's id.

        Args:
            words: keep the words' times in what is returned. Without words in ``segment`` it is not cut.
        """
        if segment.speaker is not None or not self._turns:
            return [segment if words else replace(segment, words=None)]
        if not segment.words:
            return [replace(segment, speaker=self.at(segment.start, segment.end))]
        return by_speaker(replace(segment, words=tuple(self.said(segment.words))), words=words)

    def said(self, words: Sequence[Word]) -> list[Word]:
        """Words in order of time, each with who says it."""
        said: list[Word] = []
        for word in words:
            before = said[-1].speaker if said else None
            said.append(replace(word, speaker=self.at(word.start, word.end, before)))
        return _steady(said)


def by_speaker(segment: Segment, *, words: bool) -> list[Segment]:
    """The segment by the speakers that its words have: one for each run of words of one speaker."""
    runs = [list(run) for _, run in groupby(segment.words or (), key=lambda word: word.speaker)]
    if not runs:
        return [segment]
    if len(runs) == 1:
        only = tuple(runs[0]) if words else None
        return [replace(segment, speaker=runs[0][0].speaker, words=only)]
    return list(_cut(segment, runs, words=words))


def _steady(words: list[Word]) -> list[Word]:
    """Without runs too short to be somebody's, between words of one other speaker."""
    runs = [list(run) for _, run in groupby(words, key=lambda word: word.speaker)]
    for before, run, after in zip(runs, runs[1:], runs[2:], strict=False):
        brief = run[-1].end - run[0].start < _FLICKER_SECONDS
        if brief and before[-1].speaker == after[0].speaker:
            run[:] = [replace(word, speaker=before[-1].speaker) for word in run]
    return [word for run in runs for word in run]


def _cut(segment: Segment, runs: list[list[Word]], *, words: bool) -> Iterator[Segment]:
    last = len(runs) - 1
    for index, run in enumerate(runs):
        text = "".join(word.text for word in run).strip()
        yield replace(
            segment,
            start=segment.start if index == 0 else run[0].start,
            end=segment.end if index == last else max(run[-1].end, run[0].start),
            text=text,
            words=tuple(run) if words else None,
            # Which token became which word is not known any more: the first piece has them all.
            tokens=segment.tokens if index == 0 else (),
            speaker=run[0].speaker,
        )
