"""SubRip and WebVTT."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from scriba.formats.cues import Cue
from scriba.formats.times import srt_time, vtt_time

_WORD_JOINER = "\u2060"
_SRT_MARKUP = re.compile(r"<(?=\s*/?\s*[A-Za-z])|\{(?=\s*\\)|--(?=>)")
"""What players take for markup in SubRip (``<i>``, ``{\\an8}``) and readers for a time line (``-->``)."""


def write_srt(cues: Iterable[Cue]) -> Iterator[str]:
    """SubRip, one string a cue.

    SubRip has no escapes. Where spoken text looks like markup, a word joiner (U+2060, invisible) breaks the
    likeness and the text is shown as it was said. A speaker stands before the text in brackets.
    """
    for cue in cues:
        lines = _said_by(cue) + "\n".join(_unlike_markup(line) for line in cue.lines)
        yield f"{cue.index}\n{srt_time(cue.start_ms)} --> {srt_time(cue.end_ms)}\n{lines}\n\n"


def write_vtt(cues: Iterable[Cue]) -> Iterator[str]:
    """WebVTT (W3C), the header first, then one string a cue. A speaker becomes a voice tag."""
    yield "WEBVTT\n\n"
    for cue in cues:
        lines = "\n".join(_escaped(line) for line in cue.lines)
        voice = f"<v {_escaped(' '.join(cue.speaker.split()))}>" if cue.speaker else ""
        yield f"{vtt_time(cue.start_ms)} --> {vtt_time(cue.end_ms)}\n{voice}{lines}\n\n"


def _said_by(cue: Cue) -> str:
    return f"[{_unlike_markup(' '.join(cue.speaker.split()))}]: " if cue.speaker else ""


def _unlike_markup(line: str) -> str:
    return _SRT_MARKUP.sub(lambda found: found.group() + _WORD_JOINER, line)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
