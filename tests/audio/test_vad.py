"""The rewritten network against the published one: the same probabilities and the same speech."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from scripts.vad_model import SOURCE, TARGET, rewrite

from scriba.audio.decode import open_recording
from scriba.audio.speech import SpeechDetector
from scriba.audio.vad import CONTEXT, FRAME, STATE, SpeechProbability
from scriba.domain.errors import UnsupportedMediaError
from scriba.domain.options import VadOptions
from scriba.models.convert.onnx_file import OnnxFile
from tests import speech

Audio = NDArray[np.float32]
FOLDERS = (
    "asterisk-en",
    "conversation",
    "english-misc",
    "formats",
    "librispeech-misc",
    "librispeech-test-other",
    "longform",
    "mediarecorder",
    "multilingual",
    "noise-music",
)


def _blocks(path: Path) -> list[Audio]:
    with open_recording(path) as recording:
        return list(recording.blocks())


@cache
def _published_session() -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(SOURCE, options, providers=["CPUExecutionProvider"])


class _Published(SpeechProbability):
    """The published network over a whole recording at once, in place of the one under test."""

    def __init__(self) -> None:
        self._pushed: list[Audio] = []

    def push(self, block: Audio) -> Audio:
        self._pushed.append(block)
        return np.zeros(0, np.float32)

    def flush(self) -> Audio:
        audio = np.concatenate(self._pushed)
        frames = np.pad(audio, (CONTEXT, -len(audio) % FRAME))
        rows = np.lib.stride_tricks.sliding_window_view(frames, CONTEXT + FRAME)[::FRAME]
        state = np.zeros((1, 1, STATE), np.float32)
        if not len(rows):
            return np.zeros(0, np.float32)
        output = _published_session().run(None, {"input": rows, "h": state, "c": state})[0]
        return np.asarray(output, np.float32).reshape(-1)


def _published(audio: Audio) -> Audio:
    network = _Published()
    network.push(audio)
    return network.flush()


def _rewritten(audio: Audio, block: int) -> Audio:
    stream = SpeechProbability()
    parts = [stream.push(audio[start : start + block]) for start in range(0, len(audio), block)]
    return np.concatenate([*parts, stream.flush()])


def _detect(blocks: list[Audio], network: SpeechProbability) -> Iterator[tuple[int, int, float]]:
    detector = SpeechDetector(VadOptions(min_silence_duration_ms=160, speech_pad_ms=30))
    detector._probability = network
    for region in [region for block in blocks for region in detector.push(block)] + detector.finish():
        yield region.start, region.end, region.probability


@pytest.mark.parametrize("block", [100, 320, 512, 1_600, 16_000, 16_000 * 60])
def test_speech_is_as_probable_as_with_the_published_network(block: int) -> None:
    for path in (speech.two_cities(), speech.beckett()):
        audio = np.concatenate(_blocks(path))
        np.testing.assert_allclose(_rewritten(audio, block), _published(audio), atol=2e-5)


@pytest.mark.parametrize("gain", [0.0, 1e-30, 1e-5, 0.1, 1.0, 4.0])
def test_any_loudness_is_as_probable_as_with_the_published_network(gain: float) -> None:
    random = np.random.default_rng(3)
    audio = np.concatenate(_blocks(speech.beckett()))[: 16_000 * 5]
    noisy = (audio + random.normal(0, 0.02, len(audio))).astype(np.float32) * np.float32(gain)
    np.testing.assert_allclose(_rewritten(noisy, 5_000), _published(noisy), atol=2e-5)


@pytest.mark.speech
@pytest.mark.parametrize("folder", FOLDERS)
def test_every_recording_has_the_speech_that_the_published_network_finds(folder: str) -> None:
    checked = 0
    for recording in speech.recordings(folder):
        try:
            blocks = _blocks(recording.path)
        except UnsupportedMediaError:
            continue  # some are corrupt on purpose
        audio = np.concatenate(blocks)
        np.testing.assert_allclose(_rewritten(audio, 16_000), _published(audio), atol=1e-4)
        found, expected = list(_detect(blocks, SpeechProbability())), list(_detect(blocks, _Published()))
        assert [region[:2] for region in found] == [region[:2] for region in expected], recording.path.name
        np.testing.assert_allclose([r[2] for r in found], [r[2] for r in expected], atol=1e-4)
        checked += 1
    assert checked


def test_the_packaged_network_is_what_the_script_makes(tmp_path: Path) -> None:
    made = tmp_path / "made.onnx"
    made.write_bytes(rewrite(SOURCE))
    packaged, fresh = OnnxFile(TARGET), OnnxFile(made)
    assert list(packaged.nodes()) == list(fresh.nodes())
    assert list(packaged.names()) == list(fresh.names())
    indices = ("_start", "_end", "_axis", "row", "batch", "units")
    for name in packaged.names():  # a sine may differ in its last bit from machine to machine
        if not name.endswith(indices):
            np.testing.assert_allclose(packaged.tensor(name), fresh.tensor(name), atol=1e-7)


def test_audio_of_a_shorter_kind_of_number_is_taken() -> None:
    audio = np.concatenate(_blocks(speech.beckett()))[: 16_000 * 2]
    halves = audio.astype(np.float16)
    expected = SpeechProbability().push(halves.astype(np.float32))
    np.testing.assert_array_equal(SpeechProbability().push(halves), expected)  # type: ignore[arg-type]


def test_what_a_stream_keeps_does_not_grow() -> None:
    stream = SpeechProbability()
    for _ in range(20):
        stream.push(np.zeros(16_000, np.float32))
        assert len(stream._rest) < CONTEXT + FRAME
        assert stream._rest.base is None
