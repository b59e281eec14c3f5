"""Windows: their bounds, their order, and times restored exactly."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scriba.audio.decode import open_recording
from scriba.domain.options import VadOptions
from scriba.engine.port import WINDOW_SAMPLES, Audio
from scriba.transcribe.windows import (
    AudioBuffer,
    Piece,
    Speech,
    Window,
    plan_windows,
)
from tests.speech import beckett, two_cities

RATE = 16_000


def window(*spans: tuple[float, float]) -> Window:
    """A window made of these stretches of a recording, in seconds."""
    pieces: list[Piece] = []
    target = 0
    for start, end in spans:
        pieces.append(Piece(round(start * RATE), target, round((end - start) * RATE)))
        target += pieces[-1].length
    speech = tuple(Speech(p.target / RATE, (p.target + p.length) / RATE, 0.9) for p in pieces)
    return Window(0, np.zeros(target, dtype=np.float32), tuple(pieces), speech)


def test_times_are_restored_over_what_was_left_out() -> None:
    own = window((10, 12), (20, 23))
    assert own.seconds == 5
    assert (own.start, own.end) == (10, 23)
    assert own.restore(0.0) == 10
    assert own.restore(1.5) == 11.5
    assert own.restore(2.5) == 20.5
    assert own.restore(5.0) == 23


def test_at_a_cut_ends_belong_to_the_earlier_piece_and_starts_to_the_later() -> None:
    own = window((10, 12), (20, 23))
    assert own.restore(2.0, ends=True) == 12
    assert own.restore(2.0) == 20


def test_a_word_over_a_cut_stays_where_its_middle_is() -> None:
    own = window((10, 12), (20, 23))
    assert own.restore_span(1.5, 2.2) == (11.5, 12)
    assert own.restore_span(1.9, 2.5) == (20, 20.5)
    assert own.crosses_cut(1.9, 2.5)
    assert not own.crosses_cut(0.0, 2.0)


def test_speech_is_counted_from_any_point() -> None:
    own = window((0, 2), (10, 12))
    assert own.speech_after(1.0) == 3.0
    assert own.speech_after(9.0) == 0.0
    assert own.speech_probability(0.0, 2.0) == pytest.approx(0.9)
    assert own.speech_probability(3.0, 3.0) == 0.0


def test_a_span_is_trimmed_to_its_voice() -> None:
    frames = tuple(0.9 if 1.0 <= i * 0.032 < 2.0 else 0.1 for i in range(100))
    own = Window(
        0, np.zeros(4 * RATE, dtype=np.float32), (Piece(0, 0, 4 * RATE),), (Speech(0, 4, 0.4, 0.0, frames),)
    )
    start, end = own.trim(0.2, 3.0)
    assert start == pytest.approx(0.92, abs=0.04)
    assert end == pytest.approx(2.2, abs=0.04)
    assert own.trim(1.5, 1.7) == (1.5, 1.7)
    assert own.trim(3.0, 3.5) == (3.0, 3.5)


@st.composite
def spans(draw: st.DrawFn) -> list[tuple[float, float]]:
    result, position = [], 0.0
    for _ in range(draw(st.integers(1, 6))):
        position += draw(st.integers(0, 50)) / 10
        length = draw(st.integers(1, 40)) / 10
        result.append((position, position + length))
        position += length
    return result


@given(spans(), st.lists(st.floats(0, 30), min_size=2, max_size=2).map(sorted))
def test_restoring_keeps_order_and_stays_inside(parts: list[tuple[float, float]], times: list[float]) -> None:
    own = window(*parts)
    first, second = (min(t, own.seconds) for t in times)
    assert own.restore(first) <= own.restore(second) + 1e-9
    assert own.start - 1e-6 <= own.restore(first) <= own.end + 1e-6
    start, end = own.restore_span(first, second)
    assert own.start - 1e-6 <= start <= end <= own.end + 1e-6
    assert end - start <= second - first + 1e-6


def blocks(audio: Audio, size: int = 16_000) -> list[Audio]:
    return [audio[i : i + size] for i in range(0, len(audio), size)]


def speech_and_silence() -> Audio:
    """Beckett, 40 s of silence, the two cities twice, half a second of silence."""
    parts = []
    for path in (beckett(), two_cities()):
        with open_recording(path) as recording:
            parts.append(np.concatenate(list(recording.blocks())))
    silence = np.zeros(40 * RATE, dtype=np.float32)
    return np.concatenate([parts[0], silence, parts[1], parts[1], silence[: RATE // 2]])


@pytest.mark.parametrize("enabled", [True, False])
def test_real_speech_is_cut_into_full_windows_that_hold_its_very_samples(enabled: bool) -> None:
    audio = speech_and_silence()
    windows = list(plan_windows(iter(blocks(audio)), VadOptions(enabled=enabled)))
    assert [own.index for own in windows] == list(range(len(windows)))
    covered = 0
    previous_end = 0
    for own in windows:
        assert 0 < len(own.audio) <= WINDOW_SAMPLES
        for piece in own.pieces:
            assert piece.source >= previous_end
            previous_end = piece.source + piece.length
            covered += piece.length
            np.testing.assert_array_equal(
                own.audio[piece.target : piece.target + piece.length],
                audio[piece.source : piece.source + piece.length],
            )
    if enabled:
        assert len(audio) - covered > 35 * RATE  # the long silence is left out
        assert len(windows) <= 5
    else:
        assert covered == len(audio)


def test_how_the_sound_arrives_does_not_matter() -> None:
    audio = speech_and_silence()
    whole = list(plan_windows(iter([audio]), VadOptions()))
    for size in (1_234, 32_000):
        again = list(plan_windows(iter(blocks(audio, size)), VadOptions()))
        assert [own.pieces for own in again] == [own.pieces for own in whole]


@pytest.mark.parametrize("enabled", [True, False])
def test_silence_and_nothing(enabled: bool) -> None:
    options = VadOptions(enabled=enabled)
    assert list(plan_windows(iter([]), options)) == []
    silent = list(plan_windows(iter(blocks(np.zeros(70 * RATE, dtype=np.float32))), options))
    assert sum(len(own.audio) for own in silent) == (0 if enabled else 70 * RATE)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=20), st.integers(0, 400), st.integers(0, 400))
@settings(max_examples=50)
def test_the_buffer_gives_back_what_it_was_given(sizes: list[int], start: int, length: int) -> None:
    total = sum(sizes)
    audio = np.arange(total, dtype=np.float32)
    buffer = AudioBuffer()
    position = 0
    for size in sizes:
        buffer.append(audio[position : position + size])
        position += size
    start = min(start, total)
    buffer.discard_before(start)
    np.testing.assert_array_equal(buffer.slice(start, start + length), audio[start : start + length])
    assert buffer.end == total
