"""Log-mel features against the definition, computed the slow way."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scriba.engine.logmel import FFT_SIZE, HOP, WINDOW_FRAMES, log_mel, mel_filters
from scriba.engine.port import WINDOW_SAMPLES, Audio


def reference(audio: Audio, bins: int) -> np.ndarray:
    """Whisper's features: pad to 30 s, reflect 200 samples, transform every frame, drop the last."""
    padded = np.zeros(WINDOW_SAMPLES)
    padded[: len(audio)] = audio
    padded = np.pad(padded, FFT_SIZE // 2, mode="reflect")
    window = np.hanning(FFT_SIZE + 1)[:-1]
    frames = np.stack([padded[i * HOP : i * HOP + FFT_SIZE] * window for i in range(WINDOW_FRAMES)])
    power = np.abs(np.fft.rfft(frames)) ** 2
    logs = np.log10(np.maximum(power @ mel_filters(bins).T.astype(float), 1e-10))
    logs = np.maximum(logs, logs.max() - 8.0)
    result: np.ndarray = ((logs + 4.0) / 4.0).T
    return result


@pytest.mark.parametrize("bins", [80, 128])
@pytest.mark.parametrize(
    "samples", [1, 150, 200, 201, 16_000, 33_333, 90_001, WINDOW_SAMPLES - 1, WINDOW_SAMPLES]
)
def test_equals_the_definition(samples: int, bins: int) -> None:
    audio = np.random.default_rng(samples).normal(0, 0.1, samples).astype(np.float32)
    features = log_mel(audio, bins)
    assert features.shape == (bins, WINDOW_FRAMES)
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, reference(audio, bins), atol=2e-3)


@given(st.integers(1, WINDOW_SAMPLES), st.floats(0, 1))
@settings(max_examples=20, deadline=None)
def test_any_length_and_loudness_stays_in_range(samples: int, gain: float) -> None:
    audio = (np.sin(np.arange(samples) * 0.3) * gain).astype(np.float32)
    features = log_mel(audio, 80)
    assert np.isfinite(features).all()
    assert features.max() - features.min() <= 2.0 + 1e-4


def test_a_tone_lands_in_its_band() -> None:
    tone = np.sin(2 * np.pi * 1000 * np.arange(16_000) / 16_000).astype(np.float32)
    centres = mel_filters(80) @ np.linspace(0, 8000, FFT_SIZE // 2 + 1) / mel_filters(80).sum(axis=1)
    loudest = int(log_mel(tone, 80)[:, 50].argmax())
    assert abs(centres[loudest] - 1000) < 60
