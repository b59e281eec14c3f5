"""A transcript in any format."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from scriba.domain.errors import InvalidOptionError
from scriba.domain.transcript import Segment, Transcript, segment_separator
from scriba.formats.cues import cues
from scriba.formats.graphemes import clean_text
from scriba.formats.json_text import json_body, verbose_json_body
from scriba.formats.kinds import Format
from scriba.formats.lyrics import write_lrc
from scriba.formats.rttm import turns_of, write_rttm
from scriba.formats.rules import LineRules
from scriba.formats.subtitles import write_srt, write_vtt
from scriba.formats.tables import write_tsv
from scriba.formats.times import milliseconds


@dataclass(frozen=True, slots=True)
class RenderOptions:
    """What ``verbose_json`` holds beside the text (OpenAI's ``timestamp_granularities``).

    ``recording`` is its name, which RTTM has in every line.
    """

    segments: bool = True
    words: bool = False
    recording: str = "recording"


def render(
    transcript: Transcript,
    fmt: Format,
    rules: LineRules | None = None,
    *,
    options: RenderOptions | None = None,
) -> str:
    """The whole file as text, to be stored as UTF-8.

    Args:
        rules: limits on cues; they apply to srt, vtt, tsv and lrc, and to no other format.
    """
    options = options or RenderOptions()
    match fmt:
        case Format.JSON:
            return _dumped(json_body(transcript))
        case Format.VERBOSE_JSON:
            return _dumped(verbose_json_body(transcript, segments=options.segments, words=options.words))
        case Format.RTTM:
            return "".join(write_rttm(turns_of(transcript), options.recording))
        case _:
            return "".join(stream(transcript.segments, fmt, rules))


def stream(segments: Iterable[Segment], fmt: Format, rules: LineRules | None = None) -> Iterator[str]:
    """The file in parts, as the segments come. Joined, the parts are what ``render`` gives.

    Raises:
        InvalidOptionError: the format needs the whole transcript.
    """
    rules = rules or LineRules()
    match fmt:
        case Format.TEXT:
            return _running(segments)
        case Format.TXT:
            return (f"{line}\n" for line in map(_line, segments) if line)
        case Format.SRT:
            return write_srt(cues(segments, rules))
        case Format.VTT:
            return write_vtt(cues(segments, rules))
        case Format.TSV:
            return write_tsv(cues(segments, rules))
        case Format.LRC | Format.LRC_WORDS:
            if rules.max_line_chars is not None:
                rules = replace(rules, max_lines=1)  # an entry of lyrics is one line
            silence = {} if rules.max_gap is None else {"silence_ms": max(1, milliseconds(rules.max_gap))}
            return write_lrc(cues(segments, rules), words=fmt is Format.LRC_WORDS, **silence)
        case Format.JSON | Format.VERBOSE_JSON | Format.RTTM:
            raise InvalidOptionError(
                f"format {fmt.value} cannot be written segment by segment.", field="format"
            )


def _line(segment: Segment) -> str:
    """The text of a segment, after its speaker if there is one."""
    line = clean_text(segment.text)
    speaker = f"[{' '.join(segment.speaker.split())}]: " if segment.speaker and line else ""
    return speaker + line


def _running(segments: Iterable[Segment]) -> Iterator[str]:
    """``Transcript.text`` and a line end."""
    begun = False
    for segment in segments:
        if segment.text:
            yield (segment_separator(segment.language) if begun else "") + segment.text
            begun = True
    if begun:
        yield "\n"


def _dumped(body: object) -> str:
    return json.dumps(body, ensure_ascii=False, allow_nan=False) + "\n"
