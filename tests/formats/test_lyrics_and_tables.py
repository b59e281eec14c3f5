"""TSV and LRC, read back; plain text."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator

from hypothesis import given

from scriba.domain.transcript import Segment
from scriba.formats import Format, LineRules, cues, render, stream
from tests.formats.transcripts import WORD_JOINER, segment, segments, spoken, transcript, without_space

LINE = re.compile(r"\[(\d{2,}):([0-5]\d)\.(\d\d)\](.*)")
WORD = re.compile(r"<(\d{2,}):([0-5]\d)\.(\d\d)>")


def hundredths(minutes: str, whole: str, rest: str) -> int:
    return (int(minutes) * 60 + int(whole)) * 100 + int(rest)


@given(segments())
def test_tsv_reads_back(said: list[Segment]) -> None:
    text = render(transcript(*said), Format.TSV)
    rows = list(csv.reader(io.StringIO(text, newline=""), delimiter="\t", quoting=csv.QUOTE_NONE))
    assert rows[0] == ["start", "end", "text"]
    made = list(cues(said))
    assert [(int(row[0]), int(row[1]), row[2]) for row in rows[1:]] == [
        (cue.start_ms, cue.end_ms, cue.text) for cue in made
    ]


def test_tsv_as_it_looks() -> None:
    said = transcript(segment('a\tb\r\n"c', 1.0, 2.5))
    assert render(said, Format.TSV) == 'start\tend\ttext\n1000\t2500\ta b "c\n'


@given(segments())
def test_lrc_reads_back_in_order(said: list[Segment]) -> None:
    made = list(cues(said))
    lines = render(transcript(*said), Format.LRC).splitlines()
    found = [LINE.fullmatch(line) for line in lines]
    assert all(found)
    times = [hundredths(*match.groups()[:3]) for match in found if match]
    assert times == sorted(times)
    texts = [match.group(4) for match in found if match and match.group(4)]
    assert [without_space(text) for text in texts] == [without_space(cue.text) for cue in made]
    assert not any(LINE.match(text) for text in texts)


def test_a_line_of_lyrics_is_no_wider_than_asked_for() -> None:
    said = transcript(
        segment("And so my fellow Americans ask not what your country can do for you,", 0.0, 8.0)
    )
    for fmt in (Format.LRC, Format.LRC_WORDS):
        text = render(said, fmt, LineRules(max_line_chars=40, max_lines=2))
        lines = [
            match.group(4) for match in map(LINE.fullmatch, text.splitlines()) if match and match.group(4)
        ]
        assert [len(WORD.sub("", line).strip()) <= 40 for line in lines] == [True, True]


@given(segments())
def test_lrc_by_word_reads_back_in_order(said: list[Segment]) -> None:
    made = list(cues(said))
    lines = [line for line in render(transcript(*said), Format.LRC_WORDS).splitlines() if line[-1] != "]"]
    texts = [match.group(4) for match in map(LINE.fullmatch, lines) if match]
    timed = [(text, cue) for text, cue in zip(texts, made, strict=False) if cue.words]
    for text, cue in timed:
        times = [hundredths(*found) for found in WORD.findall(text)]
        assert times == sorted(times)
        assert len(times) == len(cue.words or ()) + 1
        assert without_space(WORD.sub("", text)) == without_space(cue.text)


def test_lrc_as_it_looks() -> None:
    said = transcript(
        spoken(("Hello", 0.5, 0.9), (" world.", 1.0, 1.5)),
        segment("[00:01.00] <00:02.00>", 6000.0, 6001.0, number=1),
    )
    assert render(said, Format.LRC).replace(WORD_JOINER, "|") == (
        "[00:00.50]Hello world.\n[00:01.50]\n[100:00.00][|00:01.00] <|00:02.00>\n[100:01.00]\n"
    )
    assert render(said, Format.LRC_WORDS).splitlines()[0] == (
        "[00:00.50]<00:00.50>Hello <00:01.00>world.<00:01.50>"
    )


def test_lines_that_follow_each_other_are_not_parted_by_an_empty_one() -> None:
    said = transcript(segment("One.", 0, 1), segment("Two.", 2, 3, number=1))
    assert render(said, Format.LRC) == "[00:00.00]One.\n[00:02.00]Two.\n[00:03.00]\n"
    assert render(said, Format.LRC, LineRules(max_gap=0.5)).count("\n") == 4


def test_txt_is_a_segment_a_line_and_text_runs_on() -> None:
    said = transcript(segment("One.\nMore."), segment("", number=1), segment("Two.", number=2))
    assert render(said, Format.TXT) == "One. More.\nTwo.\n"
    assert render(said, Format.TEXT) == "One.\nMore. Two.\n"
    japanese = transcript(segment("はい。", language="ja"), segment("どうも。", language="ja"))
    assert render(japanese, Format.TEXT) == "はい。どうも。\n"
    assert render(transcript(), Format.TEXT) == ""


def test_parts_come_before_the_last_segment_is_known() -> None:
    taken: list[int] = []

    def source() -> Iterator[Segment]:
        for number in range(9):
            taken.append(number)
            yield segment("Text.", number, number + 1, number=number)

    for fmt in Format:
        if fmt.streams:
            taken.clear()
            parts = stream(source(), fmt)
            while "Text." not in next(parts):
                pass
            assert len(taken) <= 2, fmt
