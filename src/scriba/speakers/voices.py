"""One window examined: who speaks in it, and what each voice is like."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scriba.speakers.features import filterbank
from scriba.speakers.frames import (
    FRAME_STEP,
    LOCAL_SPEAKERS,
    WINDOW_FRAMES,
    WINDOW_SAMPLES,
    Activity,
    frames_of_features,
)
from scriba.speakers.networks import Networks

_SECONDS_A_FRAME = FRAME_STEP / 16_000
_ALONE_SECONDS = 0.25
"""Speech without others that is preferred, however short, to more speech with others in it."""
_LEAST_FEATURES = 20
"""Frames of 10 ms below which a voice says nothing about itself."""


@dataclass(frozen=True, slots=True)
class Voice:
    """A local speaker: its place in the window, its embedding (192,), and seconds of it speaking alone."""

    local: int
    embedding: NDArray[np.float32]
    alone: float


@dataclass(frozen=True, slots=True)
class Examined:
    """What is kept of a window: some hundred bytes and the embeddings. ``sample`` is its first (16 kHz)."""

    sample: int
    bits: bytes
    voices: tuple[Voice, ...]

    @property
    def activity(self) -> Activity:
        flat = np.unpackbits(np.frombuffer(self.bits, np.uint8), count=WINDOW_FRAMES * LOCAL_SPEAKERS)
        activity: Activity = flat.reshape(WINDOW_FRAMES, LOCAL_SPEAKERS).astype(np.bool_)
        return activity


def examine(networks: Networks, sample: int, audio: NDArray[np.float32]) -> Examined:
    """One step of inference. ``audio`` is up to 10 s of 16 kHz mono sound that begins at ``sample``."""
    activity = networks.segment(audio)
    if len(audio) < WINDOW_SAMPLES:
        # Nobody speaks after the end.
        activity[max(0, (len(audio) - FRAME_STEP) // FRAME_STEP + 1) :] = False
    together = activity.sum(axis=1)
    features: NDArray[np.float32] | None = None
    voices: list[Voice] = []
    for local in range(LOCAL_SPEAKERS):
        alone = activity[:, local] & (together == 1)
        seconds = float(alone.sum()) * _SECONDS_A_FRAME
        chosen = alone if seconds >= _ALONE_SECONDS else activity[:, local]
        if not chosen.any():
            continue
        if features is None:
            features = filterbank(audio)
        own = features[chosen[frames_of_features(len(features))]]
        if len(own) >= _LEAST_FEATURES:
            voices.append(Voice(local, networks.embed(own), seconds))
    return Examined(sample, np.packbits(activity).tobytes(), tuple(voices))
