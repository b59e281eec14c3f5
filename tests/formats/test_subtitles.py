"""SubRip and WebVTT, read back by another library (pysubs2) and by the specification's own grammar."""

from __future__ import annotations

import html
import re

import pysubs2
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pysubs2.formats.subrip import SubripFormat
from pysubs2.formats.webvtt import WebVTTFormat

from scriba.domain.transcript import Segment
from scriba.formats import Format, LineRules, cues, render
from scriba.formats.times import lrc_time, milliseconds, srt_time, vtt_time
from tests.formats.transcripts import WORD_JOINER, seconds, segment, segments, transcript, without_space

NARROW = LineRules(max_line_chars=20, max_lines=2)
VTT_BLOCK = re.compile(r"(\d{2,}:\d\d:\d\d\.\d{3}) --> (\d{2,}:\d\d:\d\d\.\d{3})\n((?:(?!.*-->).+\n)+)\n")
SRT_BLOCK = re.compile(r"(\d+)\n(\d{2,}:\d\d:\d\d,\d{3}) --> (\d{2,}:\d\d:\d\d,\d{3})\n((?:.+\n)+)\n")


def parsed(stamp: str) -> int:
    hours, minutes, rest = stamp.replace(",", ".").split(":")
    whole, fraction = rest.split(".")
    return ((int(hours) * 60 + int(minutes)) * 60 + int(whole)) * 1000 + int(fraction)


def blocks(grammar: re.Pattern[str], text: str) -> list[tuple[str, ...]]:
    """Every block of the file; fails when anything stands between them."""
    found: list[tuple[str, ...]] = []
    at = 0
    while at < len(text):
        block = grammar.match(text, at)
        assert block, f"not a cue: {text[at : at + 80]!r}"
        found.append(block.groups())
        at = block.end()
    return found


@given(segments())
def test_vtt_holds_to_its_grammar_and_keeps_every_character(said: list[Segment]) -> None:
    text = render(transcript(*said), Format.VTT, NARROW)
    assert text.startswith("WEBVTT\n\n")
    made = list(cues(said, NARROW))
    found = blocks(VTT_BLOCK, text.removeprefix("WEBVTT\n\n"))
    assert [(parsed(start), parsed(end)) for start, end, _ in found] == [
        (cue.start_ms, cue.end_ms) for cue in made
    ]
    for (_, _, payload), cue in zip(found, made, strict=True):
        assert "<" not in payload
        assert ">" not in payload
        assert not re.search(r"&(?!amp;|lt;|gt;)", payload)
        assert tuple(html.unescape(line) for line in payload.splitlines()) == tuple(
            html.unescape(html.escape(line, quote=False)) for line in cue.lines
        )


@given(segments())
def test_srt_holds_to_its_grammar_and_keeps_every_character(said: list[Segment]) -> None:
    made = list(cues(said, NARROW))
    found = blocks(SRT_BLOCK, render(transcript(*said), Format.SRT, NARROW))
    assert [(int(number), parsed(start), parsed(end)) for number, start, end, _ in found] == [
        (cue.index, cue.start_ms, cue.end_ms) for cue in made
    ]
    for (_, _, _, payload), cue in zip(found, made, strict=True):
        assert "-->" not in payload
        assert not re.search(r"<\s*/?\s*[A-Za-z]|\{\s*\\", payload)
        assert without_space(payload) == without_space(cue.text)


@given(segments(text=st.text(alphabet="abc é,.<>/&{}\\-日本 i", max_size=60)))
def test_pysubs2_reads_the_srt_as_it_was_said(said: list[Segment]) -> None:
    assume(not any(re.search(r"\\[Nnh]|\d", one.text) for one in said))
    written = render(transcript(*said), Format.SRT, NARROW)
    made = list(cues(said, NARROW))
    read = pysubs2.SSAFile.from_string(written, format_="srt")
    within = [cue for cue in made if cue.end_ms < 360_000_000]  # pysubs2 reads hours of two digits
    assume(within == made)
    assert [(event.start, event.end) for event in read] == [(cue.start_ms, cue.end_ms) for cue in made]
    for event, cue in zip(read, made, strict=True):
        assert without_space(event.text.replace("\\N", "\n")) == without_space(cue.text)


@given(segments(text=st.text(alphabet="abc é,.<>/&{}-日本 i", max_size=60)))
def test_pysubs2_reads_the_vtt_as_it_was_said(said: list[Segment]) -> None:
    read = pysubs2.SSAFile.from_string(render(transcript(*said), Format.VTT, NARROW), format_="vtt")
    made = list(cues(said, NARROW))
    assert [(event.start, event.end) for event in read] == [(cue.start_ms, cue.end_ms) for cue in made]
    for event, cue in zip(read, made, strict=True):
        assert without_space(html.unescape(event.text.replace("\\N", "\n"))) == without_space(cue.text)


@given(seconds)
def test_seconds_to_stamp_to_seconds(value: float) -> None:
    ms = milliseconds(value)
    assert abs(ms / 1000 - value) <= 0.0005 + 1e-9
    assert parsed(srt_time(ms)) == parsed(vtt_time(ms)) == ms
    minutes, rest = lrc_time(ms).split(":")
    assert int(minutes) * 6000 + int(rest.replace(".", "")) == ms // 10


@given(st.integers(0, 359_999_999))
def test_stamps_are_those_of_pysubs2(ms: int) -> None:
    assert srt_time(ms) == SubripFormat.ms_to_timestamp(ms)
    assert vtt_time(ms) == WebVTTFormat.ms_to_timestamp(ms)


@pytest.mark.parametrize(
    ("value", "srt", "vtt", "lrc"),
    [
        (0.0, "00:00:00,000", "00:00:00.000", "00:00.00"),
        (59.9996, "00:01:00,000", "00:01:00.000", "01:00.00"),
        (3599.9994, "00:59:59,999", "00:59:59.999", "59:59.99"),
        (360_000.5, "100:00:00,500", "100:00:00.500", "6000:00.50"),
        (-0.2, "00:00:00,000", "00:00:00.000", "00:00.00"),
    ],
)
def test_stamps(value: float, srt: str, vtt: str, lrc: str) -> None:
    ms = milliseconds(value)
    assert (srt_time(ms), vtt_time(ms), lrc_time(ms)) == (srt, vtt, lrc)


def test_the_files_as_they_look() -> None:
    said = transcript(segment("Tom & <Jerry> --> go", 0.5, 2), segment("Next\n\nline", 2, 3.25, number=1))
    assert render(said, Format.VTT) == (
        "WEBVTT\n\n"
        "00:00:00.500 --> 00:00:02.000\nTom &amp; &lt;Jerry&gt; --&gt; go\n\n"
        "00:00:02.000 --> 00:00:03.250\nNext line\n\n"
    )
    assert render(said, Format.SRT).replace(WORD_JOINER, "|") == (
        "1\n00:00:00,500 --> 00:00:02,000\nTom & <|Jerry> --|> go\n\n"
        "2\n00:00:02,000 --> 00:00:03,250\nNext line\n\n"
    )


def test_ordinary_text_gets_no_invisible_characters() -> None:
    said = transcript(segment("5 < 6, {yes} -- no > 3", 0, 1))
    assert "5 < 6, {yes} -- no > 3\n" in render(said, Format.SRT)


def test_nothing_said_is_an_empty_file_with_its_header() -> None:
    assert render(transcript(), Format.VTT) == "WEBVTT\n\n"
    assert render(transcript(), Format.SRT) == ""


def test_a_speaker_is_a_voice_in_vtt() -> None:
    said = transcript(segment("Hello.", 0, 1, speaker="A & B"))
    assert "<v A &amp; B>Hello.\n" in render(said, Format.VTT)
