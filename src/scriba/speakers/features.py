"""Log-mel features as the speaker network was trained on: Kaldi's ``compute-fbank-feats``.

25 ms frames every 10 ms, DC removed, pre-emphasis 0.97, Povey window, 512-point power spectrum, 80 triangular
bands on the mel scale from 20 Hz to 8 kHz, natural logarithm, no dither.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from scriba.domain.media import SAMPLE_RATE

Features = NDArray[np.float32]

MEL_BINS = 80
FRAME_SAMPLES, HOP_SAMPLES = 400, 160
FRAMES_PER_SECOND = SAMPLE_RATE / HOP_SAMPLES
_FFT = 512
_LOW_HZ = 20.0
_PREEMPHASIS = 0.97
_FLOOR = float(np.finfo(np.float32).eps)


def filterbank(audio: NDArray[np.float32]) -> Features:
    """(frames, 80) of 16 kHz mono audio of shape (samples,); no frames of less than 25 ms.

    Frames lie within the audio (``snip_edges``): frame ``i`` covers 25 ms from ``i`` times 10 ms.
    """
    if len(audio) < FRAME_SAMPLES:
        return np.zeros((0, MEL_BINS), np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(audio, FRAME_SAMPLES)[::HOP_SAMPLES]
    frames = frames - frames.mean(axis=1, keepdims=True)
    emphasised = np.empty_like(frames)
    emphasised[:, 1:] = frames[:, 1:] - _PREEMPHASIS * frames[:, :-1]
    emphasised[:, 0] = frames[:, 0] * (1 - _PREEMPHASIS)
    emphasised *= _window()
    spectrum = np.fft.rfft(emphasised, _FFT)
    power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
    features: Features = np.log(np.maximum(power @ _bands(), _FLOOR))
    return features


@cache
def _window() -> NDArray[np.float32]:
    """A Hann window to the power of 0.85, which Kaldi calls Povey's."""
    window: NDArray[np.float32] = (np.hanning(FRAME_SAMPLES) ** 0.85).astype(np.float32)
    return window


@cache
def _bands() -> NDArray[np.float32]:
    """(257, 80): the weight of each bin of the spectrum in each band; triangles on the mel scale."""
    low, high = _mel(np.array([_LOW_HZ, SAMPLE_RATE / 2]))
    edges = low + (high - low) * np.arange(MEL_BINS + 2) / (MEL_BINS + 1)
    mel = _mel(np.arange(_FFT // 2 + 1) * SAMPLE_RATE / _FFT)[:, None]
    rising = (mel - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - mel) / (edges[2:] - edges[1:-1])
    bands: NDArray[np.float32] = np.maximum(0.0, np.minimum(rising, falling)).astype(np.float32)
    return bands


def _mel(hertz: NDArray[np.float64]) -> NDArray[np.float64]:
    mel: NDArray[np.float64] = 1127.0 * np.log1p(hertz / 700.0)
    return mel
