"""Words and marks as JSON: what a restarted server needs of them beside the audio."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from scriba.engine.port import AlignedWord
from scriba.live.voice import Mark, MarkKind


def written_mark(mark: Mark | None) -> list[Any] | None:
    return None if mark is None else [mark.kind.value, mark.at, mark.edge]


def read_mark(own: list[Any] | None) -> Mark | None:
    return None if own is None else Mark(MarkKind(own[0]), own[1], own[2])


def written_words(words: Iterable[AlignedWord]) -> list[list[Any]]:
    return [
        [round(w.start, 4), round(w.end, 4), w.text, round(w.probability, 4), list(w.tokens)] for w in words
    ]


def read_words(written: list[list[Any]]) -> Iterable[AlignedWord]:
    return (AlignedWord(own[0], own[1], own[2], own[3], tuple(own[4])) for own in written)
