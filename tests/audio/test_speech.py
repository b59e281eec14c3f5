"""Finding speech: recorded results on real speech, and what must hold for any audio and options."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from scriba.audio.decode import open_recording
from scriba.audio.speech import SpeechDetector, SpeechRegion, detect_speech
from scriba.audio.vad import FRAME, SpeechProbability
from scriba.domain.options import VadOptions
from tests import speech
from tests.audio.media import sine

SPLIT = VadOptions(max_speech_duration_s=8, min_silence_duration_ms=2_000, speech_pad_ms=30)
SHORT = VadOptions(max_speech_duration_s=6, min_silence_duration_ms=160, speech_pad_ms=100)


@cache
def _reading() -> NDArray[np.float32]:
    with open_recording(speech.two_cities()) as recording:
        return np.concatenate(list(recording.blocks()))


def _bounds(regions: list[SpeechRegion]) -> list[tuple[int, int]]:
    return [(region.start, region.end) for region in regions]


# Made by silero-vad's own offline rule over the same weights (faster-whisper 1.2.1), sample for sample.
EXPECTED_DEFAULT = [
    (13056, 136704),
    (136704, 210432),
    (210432, 274176),
    (274688, 334080),
    (334080, 389888),
    (389888, 459520),
    (459520, 673536),
]
EXPECTED_SPLIT = [  # cut at the last silence before eight seconds
    (18976, 132576),
    (140832, 238048),
    (242208, 328672),
    (339488, 453600),
    (465440, 522208),
    (524320, 652032),
    (652032, 667616),
]
EXPECTED_SHORT = [
    (17856, 75840),
    (78784, 101440),
    (105408, 133696),
    (139712, 166976),
    (170944, 206912),
    (213952, 239168),
    (241088, 269376),
    (279488, 302080),
    (302080, 329792),
    (338368, 386624),
    (393152, 418880),
    (423872, 454720),
    (464320, 476224),
    (477632, 523264),
    (523264, 618496),
    (618496, 668736),
]


@pytest.mark.parametrize(
    ("options", "expected"),
    [(VadOptions(), EXPECTED_DEFAULT), (SHORT, EXPECTED_SHORT), (SPLIT, EXPECTED_SPLIT)],
    ids=["default", "short", "split"],
)
def test_real_speech_is_cut_as_silero_cuts_it(options: VadOptions, expected: list[tuple[int, int]]) -> None:
    found = _bounds(detect_speech(_reading(), options))
    assert len(found) == len(expected)
    for mine, theirs in zip(found, expected, strict=True):
        assert mine == pytest.approx(theirs, abs=FRAME)


def test_speech_is_surer_than_the_threshold() -> None:
    assert all(0.5 < region.probability <= 1 for region in detect_speech(_reading()))


@pytest.mark.parametrize(
    "audio",
    [
        np.zeros(16_000 * 20, np.float32),
        sine(20, 16_000)[0],
        np.random.default_rng(0).normal(0, 0.1, 16_000 * 20).astype(np.float32),
        np.zeros(0, np.float32),
        np.zeros(100, np.float32),
    ],
    ids=["silence", "sine", "noise", "nothing", "less than a frame"],
)
def test_what_is_no_speech_has_none(audio: NDArray[np.float32]) -> None:
    assert detect_speech(audio) == []


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(1, 40_000), min_size=1, max_size=40))
def test_the_cut_into_blocks_changes_nothing(sizes: list[int]) -> None:
    audio = _reading()[: 16_000 * 20]
    edges = [edge for edge in np.cumsum(sizes) if edge < len(audio)]
    whole, cut = detect_speech(audio, SHORT), detect_speech(iter(np.split(audio, edges)), SHORT)
    assert _bounds(whole) == _bounds(cut)
    for one, other in zip(whole, cut, strict=True):
        assert one.probability == pytest.approx(other.probability, abs=1e-4)


class _Scripted(SpeechDetector):
    """Hears the probabilities it is given instead of asking the model about the audio."""

    def listen(self, probabilities: list[float]) -> list[SpeechRegion]:
        regions: list[SpeechRegion] = []
        for probability in probabilities:
            self._received += FRAME
            pending = self.earliest_pending
            new = self._listen(np.array([probability], np.float32))
            for region in new:
                assert region.start >= pending  # what was said not to be needed any more is not
            regions += new
        return regions + self.finish()


probabilities = st.lists(
    st.tuples(st.floats(0, 1, width=32), st.integers(1, 60)).map(lambda pair: [pair[0]] * pair[1]),
    max_size=40,
).map(lambda runs: [probability for run in runs for probability in run])
options = st.builds(
    VadOptions,
    threshold=st.floats(0.1, 0.9),
    min_speech_duration_ms=st.integers(0, 1_000),
    min_silence_duration_ms=st.integers(0, 2_000),
    speech_pad_ms=st.integers(0, 600),
    max_speech_duration_s=st.floats(0.5, 20) | st.just(float("inf")),
)


@settings(max_examples=300)
@given(probabilities, options)
def test_regions_are_ordered_apart_and_within_the_audio(script: list[float], chosen: VadOptions) -> None:
    regions = _Scripted(chosen).listen(script)
    end = 0
    for region in regions:
        assert end <= region.start < region.end <= len(script) * FRAME
        assert 0 <= region.probability <= 1
        end = region.end


@settings(max_examples=300)
@given(probabilities, options)
def test_no_clear_speech_is_left_out(script: list[float], chosen: VadOptions) -> None:
    """Nothing over the threshold is outside the regions but the one frame that a cut falls on."""
    chosen = replace(chosen, min_speech_duration_ms=0)
    regions = _Scripted(chosen).listen([*script, 0.0])
    covered = np.zeros(len(script), bool)
    for region in regions:
        covered[region.start // FRAME : -(-region.end // FRAME)] = True
    left_out = (np.array(script) >= chosen.threshold) & ~covered
    assert not (left_out[1:] & left_out[:-1]).any()
    if chosen.max_speech_duration_s > 20:
        assert not left_out.any()


@settings(max_examples=200)
@given(probabilities, st.floats(2, 10), st.integers(0, 400))
def test_no_region_is_longer_than_allowed(script: list[float], longest: float, pad: int) -> None:
    chosen = VadOptions(max_speech_duration_s=longest, speech_pad_ms=pad)
    for region in _Scripted(chosen).listen(script):
        assert region.end - region.start <= longest * 16_000 + FRAME


def test_a_region_is_known_as_soon_as_its_padding_is_certain() -> None:
    detector = _Scripted(VadOptions(min_silence_duration_ms=500, speech_pad_ms=400))
    frames = [*[0.9] * 40, *[0.0] * 200]
    for number, probability in enumerate(frames):
        detector._received += FRAME
        if detector._listen(np.array([probability], np.float32)):
            assert number - 40 <= 16_000 * 0.8 / FRAME + 1
            return
    pytest.fail("never returned")


def test_probabilities_come_one_a_frame_and_the_rest_with_flush() -> None:
    stream = SpeechProbability()
    assert len(stream.push(np.zeros(511, np.float32))) == 0
    assert len(stream.push(np.zeros(1, np.float32))) == 1
    assert len(stream.push(np.zeros(1_300, np.float32))) == 2
    assert len(stream.flush()) == 1
    assert len(stream.flush()) == 0


def test_recordings_on_several_threads_do_not_disturb_each_other() -> None:
    audio = _reading()[: 16_000 * 10]
    expected = detect_speech(audio)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(detect_speech, [audio] * 8):
            assert found == expected
