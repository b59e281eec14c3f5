"""``scriba transcribe``: what is printed, what is written, and how it ends."""

from __future__ import annotations

import _thread
import io
import json
import threading
from pathlib import Path

import pytest

from scriba.cli import main
from scriba.domain.transcript import Task
from tests.cli.fakes import FakeTranscriber, fake

__all__ = ["fake"]

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def recordings(working_folder: Path, fake: FakeTranscriber) -> None:
    for name in ("a.wav", "b.mp3", "bad.wav", "crash.wav", "forever.wav", "d/sub/c.webm"):
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"Said in {path.stem}.")


def test_one_recording_is_printed_and_nothing_else(capsys: Captured) -> None:
    assert main(["transcribe", "a.wav"]) == 0
    printed = capsys.readouterr()
    assert printed.out == "Said in a.\n"
    assert printed.err == ""


def test_several_as_text_have_headings(capsys: Captured) -> None:
    assert main(["transcribe", "a.wav", "d"]) == 0
    assert capsys.readouterr().out == "==> a.wav <==\nSaid in a.\n\n==> d/sub/c.webm <==\nSaid in c.\n\n"


def test_several_as_json_are_one_line_each(capsys: Captured) -> None:
    assert main(["transcribe", "a.wav", "b.mp3", "--format", "json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert rows == [{"file": "a.wav", "text": "Said in a."}, {"file": "b.mp3", "text": "Said in b."}]


def test_known_speakers_are_named_with_a_clip(fake: FakeTranscriber) -> None:
    flags = ["--known-speaker", "Anna=b.mp3", "--known-speaker", "Bo Li=d/sub/c.webm"]
    assert main(["transcribe", "a.wav", *flags]) == 0
    speakers = fake.options[0].speakers
    assert speakers is not None
    assert [(one.name, one.clip) for one in speakers.known] == [
        ("Anna", b"Said in b."),
        ("Bo Li", b"Said in c."),
    ]


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (["anna.wav"], "'anna.wav' is not NAME=FILE"),
        (["Anna="], "'Anna=' is not NAME=FILE"),
        (["Anna=nowhere.wav"], "nowhere.wav: No such file or directory"),
        (["=b.mp3"], "1 to 64 printable characters"),
        (["Anna=empty.wav"], "1 to 2000000 bytes each, not 0"),
        (["Anna=b.mp3"] * 2, "differ from one another"),
        ([f"{name}=b.mp3" for name in "abcde"], "at most 4 names, not 5"),
    ],
)
def test_known_speakers_that_cannot_be_are_refused_before_any_work(
    capsys: Captured, fake: FakeTranscriber, values: list[str], says: str
) -> None:
    Path("empty.wav").touch()
    flags = [part for value in values for part in ("--known-speaker", value)]
    assert main(["transcribe", "a.wav", *flags]) != 0
    assert says in " ".join(capsys.readouterr().err.split())
    assert fake.options == []


def test_rttm_names_the_recording_so_several_can_be_printed(capsys: Captured) -> None:
    assert main(["transcribe", "a.wav", "d", "-f", "rttm"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [fields[:2] for fields in lines] == [["SPEAKER", "a"], ["SPEAKER", "sub/c"]]


def test_several_subtitles_cannot_be_printed(capsys: Captured, fake: FakeTranscriber) -> None:
    assert main(["transcribe", "a.wav", "b.mp3", "-f", "srt"]) == 2
    assert "name an --output-dir" in capsys.readouterr().err
    assert fake.options == [], "refused before any work"


def test_files_are_written_for_each_recording_and_format(capsys: Captured) -> None:
    assert main(["transcribe", "a.wav", "d", "-f", "srt", "-f", "json", "-o", "out"]) == 0
    written = {path.relative_to("out").as_posix() for path in Path("out").rglob("*") if path.is_file()}
    assert written == {"a.srt", "a.json", "sub/c.srt", "sub/c.json"}
    assert "00:00:00,000 --> 00:00:02,000\nSaid in a." in Path("out/a.srt").read_text()
    assert capsys.readouterr().out == ""


def test_formats_with_one_suffix_do_not_meet() -> None:
    formats = ("json", "verbose_json", "text", "txt", "lrc", "lrc_words")
    assert (
        main(["transcribe", "a.wav", "-o", "out", *(part for name in formats for part in ("-f", name))]) == 0
    )
    assert sorted(path.name for path in Path("out").iterdir()) == [
        "a.json", "a.lrc", "a.lrc_words.lrc", "a.text.txt", "a.txt", "a.verbose_json.json",
    ]  # fmt: skip


def test_one_that_fails_does_not_stop_the_others(capsys: Captured) -> None:
    assert main(["transcribe", "bad.wav", "crash.wav", "a.wav", "-o", "out"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "scriba: bad.wav: The file is no media that can be read."
    assert lines[1].startswith("scriba: crash.wav: This should not have happened (RuntimeError).")
    assert "secret" not in "".join(lines)
    assert len(lines) == 2
    assert [path.name for path in Path("out").iterdir()] == ["a.txt"]


def test_standard_input(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    class Standard:
        buffer = io.BytesIO(b"Said through a pipe.")

    monkeypatch.setattr("sys.stdin", Standard())
    assert main(["transcribe", "-"]) == 0
    assert capsys.readouterr().out == "Said through a pipe.\n"


def test_what_is_asked_reaches_the_transcription(fake: FakeTranscriber) -> None:
    arguments = ["transcribe", "a.wav", "--language", "french", "--task", "translate", "--words"]
    arguments += ["--beam-size", "2", "--temperature", "0", "--no-vad", "--no-guards"]
    arguments += ["--prompt", "Dickens", "--hotwords", "Scriba"]
    assert main(arguments) == 0
    (options,) = fake.options
    assert options.language.language == "fr"
    assert options.task is Task.TRANSLATE
    assert (options.decoding.beam_size, options.decoding.temperatures) == (2, (0.0,))
    assert (options.decoding.initial_prompt, options.decoding.hotwords) == ("Dickens", "Scriba")
    assert (options.vad.enabled, options.guards, options.words) == (False, False, True)


def test_defaults_are_the_settings(fake: FakeTranscriber, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCRIBA_DECODING__BEAM_SIZE", "3")
    monkeypatch.setenv("SCRIBA_GUARDS", "false")
    assert main(["transcribe", "a.wav", "--languages", "de, French"]) == 0
    (options,) = fake.options
    assert (options.decoding.beam_size, options.guards, options.words) == (3, False, False)
    assert options.language.allowed == ("de", "fr")


def test_word_times_are_made_when_a_format_or_rule_needs_them(fake: FakeTranscriber) -> None:
    assert main(["transcribe", "a.wav", "-f", "lrc_words"]) == 0
    assert main(["transcribe", "a.wav", "-f", "srt", "--max-line-chars", "20"]) == 0
    assert [options.words for options in fake.options] == [True, True]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["absent.wav"], "absent.wav: no such file"),
        ([], "Missing argument"),
        (["a.wav", "--beam-size", "0"], "beam_size must be "),
        (["a.wav", "--beam-size", "x"], "--beam-size"),
        (["a.wav", "--language", "klingon"], "klingon"),
        (["a.wav", "--language", "de", "--languages", "en,fr"], "is not one of"),
        (["a.wav", "--task", "sing"], "sing"),
        (["a.wav", "--format", "doc"], "doc"),
        (["a.wav", "--format", "srt", "--format", "vtt"], "--output-dir"),
        (["a.wav", "--max-line-chars", "1"], "max_line_chars must be between 5"),
        (["a.wav", "-f", "json", "--max-lines", "2"], "--max-lines"),
        (["a.wav", "--device", "abacus"], "--device"),
    ],
)
def test_wrong_usage_is_told_and_ends_with_2(
    arguments: list[str], told: str, capsys: Captured, fake: FakeTranscriber
) -> None:
    assert main(["transcribe", *arguments]) == 2
    printed = capsys.readouterr()
    assert told in printed.err
    assert "Traceback" not in printed.err
    assert printed.out == ""
    assert fake.options == []


def test_a_folder_that_cannot_be_written_to_is_told_before_any_work(
    fake: FakeTranscriber, capsys: Captured
) -> None:
    for folder in ("b.mp3", "b.mp3/deeper"):
        assert main(["transcribe", "a.wav", "-o", folder]) == 1
        assert capsys.readouterr().err == f"scriba: {folder}: Not a directory.\n"
    assert fake.options == []


def test_an_interruption_cancels_the_work_at_once(fake: FakeTranscriber, capsys: Captured) -> None:
    def interrupt() -> None:
        assert fake.started.wait(10)
        _thread.interrupt_main()

    thread = threading.Thread(target=interrupt)
    thread.start()
    assert main(["transcribe", "forever.wav", "a.wav", "-o", "out"]) == 130
    thread.join()
    assert fake.cancelled.wait(1)
    assert len(fake.options) == 1, "nothing is begun after it"
    assert not Path("out").exists()
    assert "Traceback" not in capsys.readouterr().err
