"""Clips, joined recordings, scores, arguments, and the arithmetic of the limit."""

from __future__ import annotations

from concurrent.futures import Future
from itertools import islice
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from benchmarks.cuts import pack, pauses, pieces
from benchmarks.onnx_matmul import integer_matmul
from benchmarks.recordings import PAUSE_SECONDS, Samples, Speech, join, wav_seconds, write_joined
from benchmarks.scores import is_runaway, score_english
from benchmarks.systems import ask_together
from benchmarks.whisper_sizes import SIZES, floor_seconds, work

from benchmarks import arguments, mix, recordings
from scriba.engine.port import AlignedWord


def tone(seconds: float) -> Samples:
    samples: Samples = (np.sin(np.arange(int(seconds * 16_000)) / 10) / 2).astype(np.float32)
    return samples


def speech(seconds: float, text: str | None = "a", speaker: str = "s") -> Speech:
    return Speech("x", tone(seconds), text, speaker)


def word(start: float, end: float, text: str) -> AlignedWord:
    return AlignedWord(start, end, text, 1.0, ())


def test_a_pause_is_found_in_its_middle_and_edges_are_none() -> None:
    quiet = np.zeros(16_000 // 2, np.float32)
    samples = np.concatenate([quiet, tone(1), quiet, tone(1), quiet])
    assert pauses(samples) == [pytest.approx(1.75, abs=0.02)]


def test_a_clip_is_not_cut_inside_a_word() -> None:
    samples = np.concatenate([tone(1), np.zeros(8000, np.float32), tone(1)])
    said = Speech("x", samples, "one two", "s")
    cut = pieces(said, [word(0, 1, " one"), word(1.5, 2.5, " two")])
    assert [piece.text for piece in cut] == ["one", "two"]
    assert sum(len(piece.samples) for piece in cut) == len(samples)
    assert [piece.text for piece in pieces(said, [word(0, 2.5, " one")])] == ["one"]


def test_pieces_are_packed_to_a_length_within_a_speaker() -> None:
    parts = [speech(1, "a"), speech(1, "b"), speech(1, "c"), speech(1, "d", "other"), speech(4, "e", "other")]
    clips = pack(parts, 2)
    assert [clip.text for clip in clips] == ["a b"]
    assert clips[0].seconds == pytest.approx(2)
    assert [clip.text for clip in pack([speech(1, None), speech(1, "b")], 2)] == [None]
    assert [clip.text for clip in pack([speech(3, "long"), speech(2, "fits")], 2)] == ["fits"]


def test_joined_recordings_are_as_long_as_asked_and_say_what_they_say(tmp_path: Path) -> None:
    parts = [speech(1, "one"), speech(2, "two")]
    text = write_joined(tmp_path / "x.wav", parts, 10)
    spoken = text.split()
    expected = sum({"one": 1, "two": 2}[said] + PAUSE_SECONDS for said in spoken)
    assert wav_seconds(tmp_path / "x.wav") == pytest.approx(expected, abs=0.01)
    assert 10 <= expected <= 12 + PAUSE_SECONDS
    assert text == write_joined(tmp_path / "y.wav", parts, 10)
    with pytest.raises(recordings.NoSpeechError):
        list(join([], 1))


def test_opus_is_repeated_to_any_length(tmp_path: Path) -> None:
    path = tmp_path / "x.opus"
    recordings.write_repeated_opus(path, tone(2), 20)
    assert 20 <= len(recordings.read_samples(path)) / 16_000 <= 22.1


def test_errors_and_runaways_are_counted() -> None:
    found = score_english(
        [("the cat sat", "The cat sat!"), ("a dog", "a a a a a a a a a a dog"), (None, "x")]
    )
    assert found is not None
    assert (found.deletions, found.insertions, found.runaways) == (0, 9, 1)
    assert found.wer == pytest.approx(9 / 5)
    assert score_english([(None, "x")]) is None
    assert not is_runaway("one two", "one two three four five six seven eight nine")


def test_together_notes_each_end_and_raises_what_is_refused() -> None:
    class Now:
        def submit(self, path: Path) -> Future[str]:
            future: Future[str] = Future()
            if path.name == "bad":
                future.set_exception(RuntimeError("full"))
            else:
                future.set_result(path.name)
            return future

    answers, seconds = ask_together(Now(), [Path("a"), Path("b")])
    assert [answer.text for answer in answers] == ["a", "b"]
    assert max(answer.seconds for answer in answers) == seconds
    with pytest.raises(RuntimeError, match="full"):
        ask_together(Now(), [Path("bad")])


def test_clips_are_due_at_the_rate_asked_for_and_always_at_the_same_times() -> None:
    times = mix.due_times(16)
    assert times == mix.due_times(16)
    assert times == sorted(times)
    assert sum(time < 60 for time in islice(times, 100)) == 16


def test_the_encoder_of_tiny_is_37_gflop_a_window() -> None:
    sizes = SIZES["tiny"]
    own = work(sizes).window - sizes.decoder_layers * 1500 * 2 * sizes.width**2
    assert 2 * own / 1e9 == pytest.approx(36.9, abs=0.1)


def test_a_batch_reads_the_weights_once() -> None:
    needed = work(SIZES["base"])
    alone = floor_seconds(needed, 3, 1, 1e15, 1e9)
    together = floor_seconds(needed, 3, 16, 1e15, 1e9)
    assert alone - together == pytest.approx(3 * needed.weights * 15 / 16 / 1e9, rel=1e-6)


def test_the_integer_product_is_the_product() -> None:
    weights = np.arange(-6, 6, dtype=np.int8).reshape(3, 4)
    left = np.array([[0, 1, 255], [7, 8, 9]], np.uint8)
    session = onnxruntime.InferenceSession(integer_matmul(2, weights), providers=["CPUExecutionProvider"])
    [found] = session.run(None, {"left": left})
    assert np.array_equal(found, left.astype(np.int32) @ weights.astype(np.int32))


def test_arguments() -> None:
    told = arguments.parse("clips", "x", ["--model", "base", "--set", "SCRIBA_MAX_CONCURRENT=16", "--quick"])
    assert told.models == ("base",)
    assert told.settings == {"max_concurrent": "16"}
    assert told.rounds == 1
    assert told.output != arguments.parse("clips", "x", []).output
    assert arguments.parse("mix", "x", [], minutes=60).minutes == 60


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--rounds", "0"], "must be at least 1, not 0"),
        (["--hours", "0"], "must be over 0 and at most 1000, not 0"),
        (["--set", "x"], "must be NAME=VALUE, not 'x'"),
        (["--with", "kaldi=x"], "'kaldi' is none of openai-whisper, whisper.cpp, openvino-genai"),
        (["--with", "openai-whisper=x"], "openai-whisper"),
    ],
)
def test_wrong_arguments_are_named(given: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        arguments.parse("clips", "x", given)
    assert told in capsys.readouterr().err
