"""The state of a listener as JSON: what a restarted server needs beside the audio."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from scriba.engine.port import AlignedWord, LanguageGuess
from scriba.live.ring import AudioRing
from scriba.live.voice import Endpointer, Mark, MarkKind
from scriba.transcribe.languages import Decision

if TYPE_CHECKING:
    from scriba.live.listener import Listener

# A listener and its snapshot are one thing in two files.

_PLAIN = (
    "_speaking",
    "_silent",
    "_start",
    "_last_end",
    "_tick",
    "_segments",
    "_language",
    "_announced",
    "_missed_again",
    "_unheard",
    "_voice_from",
    "_marks_passed",
    "_flushes_passed",
    "_guessed_for",
)


def take(listener: Listener) -> dict[str, Any]:
    window, pause = listener.window, listener._pause_at
    return {
        **{name: getattr(listener, name) for name in _PLAIN},
        "window": window.start,
        "words": _written(window.words),
        "open": _written(listener._open),
        "prompt": list(window.prompt),
        "guesses": [list(own.probabilities[:8]) for own in listener._guesses],
        "tail": _written(listener._tail),
        "pause": None if pause is None else [pause.kind.value, pause.at, pause.edge],
        "again": listener._again is not None,
    }


def restore(listener: Listener, state: dict[str, Any]) -> None:
    for name in _PLAIN:
        setattr(listener, name, state[name])
    window = listener.window
    start = min(state["window"], state["_voice_from"])
    window.audio = AudioRing(start)
    window.start = state["window"]
    window.words = list(_read(state["words"]))
    listener._open = list(_read(state["open"]))
    window.prompt = tuple(state["prompt"])
    listener._tail = tuple(_read(state["tail"]))
    listener._guesses = [
        LanguageGuess(tuple((code, probability) for code, probability in own)) for own in state["guesses"]
    ]
    if listener._language is not None:
        listener.tracker.remember(Decision(listener._language, 1.0))
    pause = state["pause"]
    listener._pause_at = None if pause is None else _mark(pause)
    listener._voice = Endpointer(listener.options.endpoint, state["_voice_from"], state["_voice_from"])
    listener._again = listener._pause_at if state["again"] else None
    listener._marks_to_drop = state["_marks_passed"]


def _mark(own: list[Any]) -> Mark:
    return Mark(MarkKind(own[0]), own[1], own[2])


def _written(words: Iterable[AlignedWord]) -> list[list[Any]]:
    return [
        [round(w.start, 4), round(w.end, 4), w.text, round(w.probability, 4), list(w.tokens)] for w in words
    ]


def _read(written: list[list[Any]]) -> Iterable[AlignedWord]:
    return (AlignedWord(own[0], own[1], own[2], own[3], tuple(own[4])) for own in written)
