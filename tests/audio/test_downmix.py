"""Many channels to one: no voice is lost, nothing clips, nothing cancels."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from scriba.audio.downmix import Downmixer
from tests.audio.decoding import decode
from tests.audio.media import frequency_of, level_of, pcm16, sine, wav

RATE = 16_000
FULL = 0.5 / np.sqrt(2)


def mixed(*channels: NDArray[np.float32]) -> NDArray[np.float32]:
    return decode(wav(pcm16(np.stack(channels)), channels=len(channels)))


VOICE = sine(4, RATE)[0]
OTHER = sine(4, RATE, frequency=1_000)[0]
SILENT = np.zeros_like(VOICE)


def test_equal_channels_keep_their_level() -> None:
    assert level_of(mixed(VOICE, VOICE)) == pytest.approx(FULL, rel=0.01)


def test_full_scale_on_all_channels_does_not_clip() -> None:
    loud = sine(2, RATE, amplitude=1.0)[0]
    for channels in (2, 6, 8):
        assert np.abs(mixed(*[loud] * channels)).max() <= 1


@pytest.mark.parametrize("channels", [2, 4, 8])
def test_one_sounding_channel_among_dead_ones_keeps_its_level(channels: int) -> None:
    for place in range(channels):
        tracks = [VOICE if number == place else SILENT for number in range(channels)]
        assert level_of(mixed(*tracks)) == pytest.approx(FULL, rel=0.02)


def test_a_channel_wired_in_anti_phase_does_not_cancel_the_other() -> None:
    assert level_of(mixed(VOICE, -VOICE)) == pytest.approx(FULL, rel=0.02)


def test_stereo_with_a_voice_on_each_side_keeps_both() -> None:
    result = mixed(VOICE, OTHER)
    spectrum = np.abs(np.fft.rfft(result)) / len(result)
    hertz = np.fft.rfftfreq(len(result), 1 / RATE)
    for frequency in (440, 1_000):
        assert spectrum[np.argmin(np.abs(hertz - frequency))] == pytest.approx(0.125, rel=0.05)


def test_a_voice_that_joins_late_on_a_dead_channel_is_heard_without_a_click() -> None:
    late = OTHER.copy()
    late[: 2 * RATE] = 0
    result = mixed(VOICE, late)
    assert frequency_of(result[: 2 * RATE]) == pytest.approx(440, abs=1)
    spectrum = np.abs(np.fft.rfft(result[-RATE:]))
    assert spectrum[1_000] > 0.3 * spectrum[440]
    steepest = 0.5 * 2 * np.pi * (440 + 1_000) / RATE
    assert np.abs(np.diff(result)).max() < steepest


def test_the_weights_sum_to_one_whatever_the_channels_do() -> None:
    random = np.random.default_rng(0)
    mixer = Downmixer(np.array([0.7071, 0.7071, 1, 0.5, 0.5, 0.5], np.float32), RATE)
    for _ in range(50):
        block = random.uniform(-1, 1, (6, 1_000)).astype(np.float32)
        block *= (random.random((6, 1)) < 0.5).astype(np.float32)
        assert np.abs(mixer.mix(block)).max() <= 1
