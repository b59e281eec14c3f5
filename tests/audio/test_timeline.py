"""Times stay true where a file skips time, and a broken clock makes no hours of silence."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scriba.audio.decode import DecodeLimits
from scriba.audio.timeline import LONGEST_TOTAL, Timeline
from scriba.domain.errors import MediaTooLargeError
from tests.audio.decoding import decode, decode_with_recording
from tests.audio.media import encode, sine


def test_a_gap_between_timestamps_becomes_silence() -> None:
    data = encode(sine(3, 48_000), 48_000, "webm", "libopus", gap=(1, 5))
    samples, recording = decode_with_recording(data)
    assert len(samples) / 16_000 == pytest.approx(8, abs=0.03)
    assert recording.seconds_filled == pytest.approx(5, abs=0.03)
    assert np.abs(samples[int(1.2 * 16_000) : int(5.8 * 16_000)]).max() < 1e-3
    assert np.abs(samples[int(6.2 * 16_000) : 7 * 16_000]).max() > 0.4


def test_a_gap_counts_toward_the_seconds_allowed() -> None:
    data = encode(sine(3, 48_000), 48_000, "webm", "libopus", gap=(1, 300))
    with pytest.raises(MediaTooLargeError, match="60 seconds"):
        decode(data, DecodeLimits(max_seconds=60))


def test_a_jump_of_hours_makes_no_silence() -> None:
    samples, recording = decode_with_recording(
        encode(sine(3, 44_100), 44_100, "matroska", "libmp3lame", gap=(1, 50_000))
    )
    assert len(samples) / 16_000 == pytest.approx(3, abs=0.06)
    assert recording.seconds_filled == 0


def test_jitter_is_no_gap() -> None:
    timeline = Timeline(0.0)
    for number in range(1_000):
        assert timeline.silence_before(number * 0.06 + (number % 3) * 0.05) == 0
        timeline.advance(0.06)


def test_a_clock_that_starts_anew_follows_on() -> None:
    timeline = Timeline(0.0)
    timeline.advance(100)
    assert timeline.silence_before(0.0) == 0
    timeline.advance(5)
    assert timeline.silence_before(7.0) == pytest.approx(2)


def test_priming_before_zero_is_no_gap() -> None:
    timeline = Timeline(None)
    assert timeline.silence_before(-0.02) == 0
    timeline.advance(0.02)
    assert timeline.silence_before(0.0) == 0


@given(st.lists(st.tuples(st.none() | st.floats(-1e9, 1e9), st.floats(1e-4, 10)), max_size=300))
def test_silence_is_never_negative_and_bounded_whatever_the_clock_says(
    frames: list[tuple[float | None, float]],
) -> None:
    timeline, total = Timeline(0.0), 0.0
    for timestamp, seconds in frames:
        silence = timeline.silence_before(timestamp)
        assert silence >= 0
        total += silence
        timeline.advance(seconds)
    assert total == pytest.approx(timeline.filled)
    assert total <= LONGEST_TOTAL
