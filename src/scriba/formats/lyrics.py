"""LRC: lyrics timed by line, or by word ("enhanced LRC")."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from scriba.formats.cues import Cue
from scriba.formats.times import lrc_time

_WORD_JOINER = "\u2060"
_TIME_LIKE = re.compile(r"[\[<](?=\s*\d+\s*:)")
_TAG_LIKE = re.compile(r"^\[(?=[^\]\u2060][^\]]*:)")
_SILENCE_MS = 2000


def write_lrc(cues: Iterable[Cue], *, words: bool = False, silence_ms: int = _SILENCE_MS) -> Iterator[str]:
    """``[mm:ss.xx]text``, and with ``words`` a ``<mm:ss.xx>`` before each word and after the last.

    A line of LRC has no end. Before a silence of at least ``silence_ms``, and at the end, an empty line
    clears the screen. A cue without word times is written by line.
    """
    held: Cue | None = None
    for cue in cues:
        if held is not None and cue.start_ms - held.end_ms >= silence_ms:
            yield f"[{lrc_time(held.end_ms)}]\n"
        yield f"[{lrc_time(cue.start_ms)}]{_by_word(cue) if words and cue.words else _plain(cue.text)}\n"
        held = cue
    if held is not None:
        yield f"[{lrc_time(held.end_ms)}]\n"


def _by_word(cue: Cue) -> str:
    words = cue.words or ()
    parts: list[str] = []
    for word in words:
        text = word.text.lstrip(" ")
        space = word.text[: len(word.text) - len(text)]
        parts.append(f"{space}<{lrc_time(word.start_ms)}>{_plain(text)}")
    return "".join(parts) + f"<{lrc_time(words[-1].end_ms)}>"


def _plain(text: str) -> str:
    """LRC has no escapes: a word joiner (U+2060, invisible) keeps spoken brackets from being read as tags."""
    text = _TIME_LIKE.sub(lambda found: found.group() + _WORD_JOINER, text)
    return _TAG_LIKE.sub("[" + _WORD_JOINER, text)
