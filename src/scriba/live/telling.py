"""What is told of a stream: its events, and the segments that its settled words make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from scriba.domain.media import SAMPLE_RATE
from scriba.engine.port import AlignedWord
from scriba.live.events import LanguageHeard, LiveEvent, Partial, SegmentFinal, Settled
from scriba.live.hearing import Hearing
from scriba.live.phrasing import Phrasing, as_word


class Telling:
    """Events of one stream, in order."""

    def __init__(self) -> None:
        self._phrasing = Phrasing()
        self._events: list[LiveEvent] = []
        self._language: str | None = None

    def __bool__(self) -> bool:
        return bool(self._events)

    def take(self) -> list[LiveEvent]:
        """What happened since the last call."""
        events, self._events = self._events, []
        return events

    def tell(self, event: LiveEvent) -> None:
        self._events.append(event)

    def settle(self, words: Sequence[AlignedWord], earliest: float, hearing: Hearing) -> list[AlignedWord]:
        """Words that never change, with the times under which they are told.

        Args:
            earliest: the end of the settled word before them: none begins sooner.
        """
        if not words:
            return []
        if self._language != hearing.language:
            self._language = hearing.language
            probability = 1.0
            if hearing.guess is not None:
                probability = dict(hearing.guess.probabilities).get(hearing.language, 0.0)
            self.tell(LanguageHeard(hearing.language, round(probability, 4)))
        placed: list[AlignedWord] = []
        for word in words:
            start = max(word.start, earliest)
            earliest = max(start, word.end)
            placed.append(replace(word, start=round(start, 3), end=round(earliest, 3)))
        self._phrasing.add(placed)
        self.tell(Settled(tuple(as_word(word) for word in placed), hearing.language))
        return placed

    def show(self, words: Sequence[AlignedWord], end: int) -> None:
        """What seems to follow, heard up to a sample."""
        at = round(end / SAMPLE_RATE, 3)
        if not words:
            self.tell(Partial(at, at, ""))
            return
        text = "".join(word.text for word in words)
        self.tell(Partial(round(words[0].start, 3), round(words[-1].end, 3), text))

    def complete(self, *, whole: bool) -> None:
        """Make segments of settled words: whole sentences, or everything."""
        for segment in self._phrasing.complete(self._language or "en", whole=whole):
            self.tell(SegmentFinal(segment))

    def state(self) -> dict[str, Any]:
        """As JSON, the events apart."""
        return {"language": self._language, "phrasing": self._phrasing.state()}

    def restore(self, state: dict[str, Any]) -> None:
        self._language = state["language"]
        self._phrasing.restore(state["phrasing"])
