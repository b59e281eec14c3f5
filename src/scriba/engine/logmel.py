"""Log-mel spectrograms as Whisper wants them (Radford et al. 2022, section 2.2; openai/whisper ``audio.py``).

Lives with the engine because the number of mel bins belongs to a model, and other engines take samples.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from scriba.domain.media import SAMPLE_RATE
from scriba.engine.port import WINDOW_SAMPLES, Audio

FFT_SIZE = 400
HOP = 160
WINDOW_FRAMES = WINDOW_SAMPLES // HOP

_BATCH = 250
"""Frames computed at a time: what they need stays in a core's own cache."""

_SILENCE = -10.0
"""log10 of the floor that powers are clamped to: what a frame of zeros becomes."""


def log_mel(audio: Audio, mel_bins: int) -> NDArray[np.float32]:
    """Log-mel spectrogram of one window, padded with silence to 30 s.

    Args:
        audio: shape ``(n,)``, 16 kHz, ``n <= WINDOW_SAMPLES``.
        mel_bins: 80, or 128 for large-v3 and its descendants.

    Returns:
        float32, shape ``(mel_bins, 3000)``, normalised as in training.
    """
    # Frames that see only padding are known beforehand: computing them would cost as much as real ones.
    frames = min(WINDOW_FRAMES, (len(audio) + FFT_SIZE // 2 - 1) // HOP + 1)
    half = FFT_SIZE // 2
    needed = (frames - 1) * HOP + FFT_SIZE
    padded = np.zeros(needed, dtype=np.float32)
    body = audio[: needed - half]
    padded[half : half + len(body)] = body
    # torch.stft reflects at both ends of the 30 s; behind anything but a full window that is silence.
    padded[:half] = padded[2 * half : half : -1]
    end = half + WINDOW_SAMPLES
    if needed > end:
        padded[end:] = padded[end - 2 : 2 * end - 2 - needed : -1]

    features = np.empty((mel_bins, WINDOW_FRAMES), dtype=np.float32)
    features[:, frames:] = _SILENCE
    heard = features[:, :frames]
    _mel_powers(padded, heard)
    np.maximum(heard, 1e-10, out=heard)
    np.log10(heard, out=heard)
    np.maximum(features, features.max() - 8.0, out=features)
    features += 4.0
    features /= 4.0
    return features


def _mel_powers(padded: Audio, out: NDArray[np.float32]) -> None:
    """Power in each mel band (rows of ``out``) of each frame (columns), some frames at a time.

    Arrays over all frames at once would be megabytes each: no core's own cache holds them, and finding memory
    for them with every window costs about as much as what is computed.
    """
    filters = mel_filters(len(out)).T
    frames = np.lib.stride_tricks.sliding_window_view(padded, FFT_SIZE)[::HOP]
    windowed = np.empty((_BATCH, FFT_SIZE), np.float32)
    spectrum = np.empty((_BATCH, FFT_SIZE // 2 + 1), np.complex64)
    parts = spectrum.view(np.float32)
    power = np.empty(spectrum.shape, np.float32)
    # numpy transforms float32 as doubles and finds room for them by pieces: three times slower than so.
    doubles, transformed = np.empty(windowed.shape), np.empty(spectrum.shape, np.complex128)
    for start in range(0, out.shape[1], _BATCH):
        count = min(_BATCH, out.shape[1] - start)
        np.multiply(frames[start : start + count], _hann(), out=windowed[:count])
        doubles[:count] = windowed[:count]
        np.fft.rfft(doubles[:count], axis=-1, out=transformed[:count])
        spectrum[:count] = transformed[:count]
        np.square(parts[:count], out=parts[:count])
        np.add(parts[:count, ::2], parts[:count, 1::2], out=power[:count])
        out[:, start : start + count] = (power[:count] @ filters).T


@lru_cache(maxsize=1)
def _hann() -> NDArray[np.float32]:
    """Periodic Hann window, shape ``(400,)``."""
    phase = 2.0 * np.pi * np.arange(FFT_SIZE) / FFT_SIZE
    return (0.5 - 0.5 * np.cos(phase)).astype(np.float32)


@lru_cache(maxsize=4)
def mel_filters(mel_bins: int) -> NDArray[np.float32]:
    """Triangular filters on Slaney's mel scale with area normalisation, shape ``(mel_bins, 201)``.

    The scale is linear to 1 kHz and logarithmic above (Slaney, Auditory Toolbox, 1998), as librosa's default,
    which Whisper's filters were made with.
    """
    highest = _hertz_to_mel(SAMPLE_RATE / 2)
    edges = _mel_to_hertz(np.linspace(0.0, highest, mel_bins + 2))
    bins = np.linspace(0.0, SAMPLE_RATE / 2, FFT_SIZE // 2 + 1)
    lower, centre, upper = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising = (bins - lower) / (centre - lower)
    falling = (upper - bins) / (upper - centre)
    weights = np.maximum(0.0, np.minimum(rising, falling)) * (2.0 / (upper - lower))
    return weights.astype(np.float32)


_LINEAR_STEP = 200.0 / 3.0
_BREAK_HERTZ = 1000.0
_BREAK_MEL = _BREAK_HERTZ / _LINEAR_STEP
_LOG_STEP = np.log(6.4) / 27.0


def _hertz_to_mel(hertz: float) -> float:
    if hertz < _BREAK_HERTZ:
        return hertz / _LINEAR_STEP
    return float(_BREAK_MEL + np.log(hertz / _BREAK_HERTZ) / _LOG_STEP)


def _mel_to_hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    linear = mel * _LINEAR_STEP
    logarithmic = _BREAK_HERTZ * np.exp(_LOG_STEP * (mel - _BREAK_MEL))
    return np.where(mel < _BREAK_MEL, linear, logarithmic)
