"""Scores worked out by hand, and a benchmark run over a transcriber that says what it is told to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from scriba.bench import Counts, FileScore, Reference, WerReport, run_wer, run_wer_command, score
from scriba.bench.report import Unit
from scriba.bench.scoring import normalise_text
from scriba.bench.wer import peak_memory
from scriba.domain.cancel import CancelToken
from scriba.domain.errors import (
    CancelledByUserError,
    InvalidOptionError,
    ModelNotFoundError,
    ScribaError,
    UnsupportedMediaError,
    UnsupportedOptionError,
)
from scriba.domain.events import Event, Finished, Progress
from scriba.domain.options import LanguagePolicy, TranscribeOptions
from scriba.domain.transcript import Segment, Task, Transcript
from scriba.transcribe.port import Source


class Clock:
    """Seconds that pass only when something takes time."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Teller:
    """A transcriber that says what it was told to for each file, in the time it was told to take."""

    def __init__(self, clock: Clock | None = None, **answers: tuple[str | ScribaError, float, float]) -> None:
        self.clock = clock or Clock()
        self.answers = answers
        self.asked: list[TranscribeOptions] = []

    def run(
        self, source: Source, options: TranscribeOptions, cancel: CancelToken | None = None
    ) -> Iterator[Event]:
        assert isinstance(source, Path)
        if cancel is not None:
            cancel.check()
        self.asked.append(options)
        text, duration, processing = self.answers[source.stem]
        self.clock.now += processing
        if isinstance(text, ScribaError):
            raise text
        yield Progress(duration, duration)
        language = options.language.language or "en"
        segment = Segment(id=0, start=0.0, end=duration, text=text, language=language)
        yield Finished(Transcript((segment,), duration, language, 1.0, Task.TRANSCRIBE, "tiny.en"))


def told(name: str, text: str, language: str | None = "en", duration: float | None = None) -> Reference:
    return Reference(f"{name}.wav", Path(f"{name}.wav"), text, language, duration)


def test_counts_by_hand() -> None:
    # red deleted, white heard as whites, pink inserted
    report = score([("Red, green, blue; black white grey.", "green blue black whites grey pink")], "en")
    (one,) = report.files
    assert one.counts == Counts(hits=4, substitutions=1, deletions=1, insertions=1)
    assert report.wer == 3 / 6


def test_rates_are_pooled_and_not_averaged() -> None:
    report = score([("one", "two"), ("a b c d e f g h i", "a b c d e f g h i")], "fr")
    assert report.wer == 1 / 10


def test_english_is_normalised_as_english() -> None:
    report = score([("Mr. Smith doesn't pay twenty dollars.", "mister smith does not pay $20")], "en")
    assert report.wer == 0
    assert score([("Mr. Smith", "mister smith")], "de").wer == 1 / 2


def test_japanese_and_chinese_count_characters_without_spaces() -> None:
    # 今日は[良→いい]天気です: one substitution and one insertion of nine characters
    report = score([("今日は良い天気です。", "今日 は いい い天気です")], "ja")
    assert report.wer is None
    assert report.characters == Counts(hits=8, substitutions=1, insertions=1)
    assert report.cer == 2 / 9
    assert score([("你好，世界", "你好世界")], "zh").cer == 0


def test_nothing_to_be_heard() -> None:
    report = score([("", "thank you"), ("", "")], "en")
    assert report.words == Counts(insertions=2)
    assert report.wer is None
    both = score([("", "you"), ("yes it is", "yes it is")], "en")
    assert both.wer == 1 / 3


def test_nothing_was_heard() -> None:
    assert score([("three little words", "")], "en").words == Counts(deletions=3)


def test_the_text_is_compared_without_case_and_punctuation() -> None:
    assert normalise_text("¡Hola,  Señor!", "es") == "hola señor"
    assert normalise_text("日 本。", "ja") == "日本"


def test_a_run() -> None:
    clock = Clock()
    teller = Teller(clock, a=("hello world", 10.0, 5.0), b=("good by", 4.0, 0.4), c=("yes", 2.0, 0.1))
    references = [told("a", "Hello, world!"), told("b", "good bye"), told("c", "yes")]
    seen: list[tuple[int, int, str]] = []
    report = run_wer(
        teller,
        references,
        TranscribeOptions(),
        lambda done, total, one: seen.append((done, total, one.name)),
        clock=clock,
    )
    assert seen == [(1, 3, "a.wav"), (2, 3, "b.wav"), (3, 3, "c.wav")]
    assert report.wer == 1 / 5
    assert report.real_time_factor == pytest.approx(0.1)  # median of 0.5, 0.1, 0.05
    assert report.audio_seconds == 16.0
    assert report.processing_seconds == pytest.approx(5.5)
    assert report.model == "tiny.en"
    assert report.peak_memory is not None
    assert 10 * 2**20 < report.peak_memory < 2**40


def test_peak_memory_is_in_bytes() -> None:
    before = peak_memory()
    block = bytearray(300 * 2**20)
    block[:: 2**12] = b"x" * len(block[:: 2**12])
    assert peak_memory() >= min(before, 300 * 2**20)
    assert peak_memory() >= 300 * 2**20


def test_a_file_that_fails_counts_as_nothing_heard() -> None:
    clock = Clock()
    teller = Teller(clock, a=(UnsupportedMediaError("No audio track."), 0, 1.0), b=("hello world", 1.0, 0.5))
    report = run_wer(
        teller, [told("a", "little words lost", duration=2.0), told("b", "hello world")], TranscribeOptions(),
        clock=clock,
    )  # fmt: skip
    assert report.failed == 1
    assert report.wer == 3 / 5
    assert report.real_time_factor == 0.5
    assert report.files[0].error == "No audio track."
    assert "a.wav: No audio track." in report.table()


def test_a_missing_model_ends_the_run() -> None:
    with pytest.raises(ModelNotFoundError):
        run_wer(Teller(a=(ModelNotFoundError("No model x."), 0, 0)), [told("a", "x")], TranscribeOptions())


def test_cancelling_ends_the_run() -> None:
    cancel = CancelToken()
    teller = Teller(a=("x", 1, 1), b=("x", 1, 1))
    with pytest.raises(CancelledByUserError):
        run_wer(
            teller,
            [told("a", "x"), told("b", "x")],
            TranscribeOptions(),
            lambda done, total, one: cancel.cancel(),
            cancel=cancel,
        )
    assert len(teller.asked) == 1


def test_the_model_is_told_the_references_language_unless_it_shall_detect_it() -> None:
    references = [told("a", "ja", "de"), told("b", "yes", None)]
    teller = Teller(a=("ja", 1, 1), b=("yes", 1, 1))
    report = run_wer(teller, references, TranscribeOptions())
    assert [asked.language.language for asked in teller.asked] == ["de", None]
    assert [one.language for one in report.files] == ["de", "en"]

    detecting = Teller(a=("ja", 1, 1), b=("yes", 1, 1))
    run_wer(detecting, references, TranscribeOptions(), detect_language=True)
    assert [asked.language.language for asked in detecting.asked] == [None, None]

    forced = Teller(a=("ja", 1, 1), b=("yes", 1, 1))
    run_wer(forced, references, TranscribeOptions(language=LanguagePolicy("fr")))
    assert [asked.language.language for asked in forced.asked] == ["fr", "fr"]


def folder(tmp_path: Path) -> Path:
    for name, text in (("a", "hello world"), ("b", "goodbye")):
        (tmp_path / f"{name}.wav").touch()
        (tmp_path / f"{name}.txt").write_text(text)
    return tmp_path


def test_the_command_over_a_folder(tmp_path: Path) -> None:
    teller = Teller(a=("hello word", 1, 1), b=("goodbye", 1, 1))
    report = run_wer_command(folder(tmp_path), teller)
    assert report.wer == 1 / 3
    assert len(run_wer_command(tmp_path, teller, limit=1).files) == 1
    with pytest.raises(InvalidOptionError, match="limit must be at least 1, not 0"):
        run_wer_command(tmp_path, teller, limit=0)


def test_without_the_optional_packages_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scriba.bench.scoring.find_spec", lambda name: None)
    teller = Teller(a=("one", 1, 1), b=("three", 1, 1))
    with pytest.raises(UnsupportedOptionError, match=r"needs jiwer and whisper_normalizer.* make wer"):
        run_wer_command(folder(tmp_path), teller)
    assert not teller.asked


REPORT = WerReport(
    (
        FileScore("good.wav", "en", Unit.WORD, Counts(hits=8), "a", "a", 10.0, 1.0),
        FileScore("bad.wav", "en", Unit.WORD, Counts(1, 1, 0, 1), "b", "c", 4.0, 2.0),
        FileScore("日.wav", "ja", Unit.CHARACTER, Counts(3, 0, 1, 0), "日本語だ", "日本語", 5.0, 0.5),
    ),
    model="base",
    peak_memory=200 * 2**20,
    without_reference=2,
)


def test_the_table() -> None:
    lines = REPORT.table().splitlines()
    assert lines[0].split() == [
        "file",
        "lang",
        "rate",
        "ins",
        "del",
        "sub",
        "of",
        "unit",
        "audio",
        "s",
        "RTF",
    ]
    assert [line.split()[0] for line in lines[2:5]] == ["good.wav", "日.wav", "bad.wav"]
    assert lines[4].split() == ["bad.wav", "en", "100.00", "%", "1", "0", "1", "2", "word", "4.0", "0.500"]
    assert lines[6:] == [
        "model             base",
        "WER               20.00 %  (1 insertions, 0 deletions, 1 substitutions of 10)",
        "CER               25.00 %  (0 insertions, 1 deletions, 0 substitutions of 4)",
        "files             3; 2 without a reference left out",
        "real-time factor  0.100 (median; 3.5 s for 19.0 s of audio in all)",
        "peak memory       200 MiB",
    ]


def test_the_json() -> None:
    read = json.loads(REPORT.json())
    assert read["wer"] == 0.2
    assert read["words"] == {"hits": 9, "substitutions": 1, "deletions": 0, "insertions": 1, "length": 10}
    assert read["cer"] == 0.25
    assert read["real_time_factor"] == 0.1
    assert read["peak_memory_bytes"] == 200 * 2**20
    assert read["per_file"][1]["name"] == "bad.wav"
    assert read["per_file"][1]["rate"] == 1.0
    assert read["per_file"][2]["unit"] == "character"
