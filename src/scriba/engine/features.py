"""A window's spectrogram, as much of it as the encoder is to be given."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from scriba.domain.errors import EngineError
from scriba.domain.media import SAMPLE_RATE
from scriba.engine.context import FULL_FRAMES, PADDING_SECONDS, ContextMode, ContextPolicy
from scriba.engine.logmel import HOP, log_mel
from scriba.engine.port import WINDOW_SAMPLES, Audio


@dataclass(frozen=True, slots=True)
class Features:
    """``log_mel`` has the shape ``(mel_bins, frames)`` and holds ``seconds`` of sound. The encoding is to
    have ``positions``, the first ``heard`` of them of sound, the last of silence where ``log_mel`` is
    shorter, with ``silence`` in all of its bins. ``full`` when ``log_mel`` is all of the 30 s."""

    log_mel: NDArray[np.float32]
    seconds: float
    positions: int
    heard: int
    silence: float
    full: bool


def window_features(
    audio: Audio, mel_bins: int, policy: ContextPolicy, *, full: bool, short: bool = False
) -> Features:
    """
    Raises:
        EngineError: the window is empty or longer than 30 s.
    """
    if not 0 < len(audio) <= WINDOW_SAMPLES:
        raise EngineError(f"A window holds 1 to {WINDOW_SAMPLES} samples, not {len(audio)}.")
    seconds = len(audio) / SAMPLE_RATE
    if short:
        padding = min(policy.padding, PADDING_SECONDS)
        policy = replace(policy, mode=ContextMode.FIT, padding=padding)
    context = FULL_FRAMES if full else policy.frames_for(seconds)
    frames = FULL_FRAMES if full else policy.encoded_frames(seconds)
    whole = log_mel(audio, mel_bins)
    return Features(
        log_mel=whole[:, :frames],
        seconds=seconds,
        positions=context // 2,
        heard=-(-len(audio) // (2 * HOP)),
        silence=float(whole[:, -1].mean()),
        full=frames == FULL_FRAMES,
    )
