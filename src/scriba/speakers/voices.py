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


PIECE_SECONDS = 2.0
"""Speech alone that is enough to be looked at by itself."""
_GAP_FRAMES = 30
"""A pause of half a second parts two pieces."""


@dataclass(frozen=True, slots=True)
class Voice:
    """Speech of a local speaker: a long piece, or all its short ones together.

    ``bits`` are its frames in the window, packed; ``embedding`` is (192,); ``alone`` are seconds of it alone.
    """

    local: int
    bits: bytes
    embedding: NDArray[np.float32]
    alone: float

    @property
    def frames(self) -> NDArray[np.bool_]:
        """(589,): where it is."""
        flat = np.unpackbits(np.frombuffer(self.bits, np.uint8), count=WINDOW_FRAMES)
        frames: NDArray[np.bool_] = flat.astype(np.bool_)
        return frames


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
        for piece in _pieces(activity[:, local], together == 1):
            alone = piece & (together == 1)
            seconds = float(alone.sum()) * _SECONDS_A_FRAME
            chosen = alone if seconds >= _ALONE_SECONDS else piece
            if features is None:
                features = filterbank(audio)
            own = features[chosen[frames_of_features(len(features))]]
            if len(own) >= _LEAST_FEATURES:
                bits = np.packbits(piece).tobytes()
                voices.append(Voice(local, bits, networks.embed(own), seconds))
    return Examined(sample, np.packbits(activity).tobytes(), tuple(voices))


def _pieces(active: NDArray[np.bool_], single: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    """The frames of a local speaker, part by part.

    The network takes two people for one now and then, above all two that never speak at once. So a piece of
    speech between two pauses that is long enough is a voice of its own; the short ones are one together.
    """
    found: list[NDArray[np.bool_]] = []
    rest = active.copy()
    frames = np.flatnonzero(active)
    if not len(frames):
        return found
    for run in np.split(frames, np.flatnonzero(np.diff(frames) > _GAP_FRAMES) + 1):
        piece = np.zeros_like(active)
        piece[run] = True
        if float((piece & single).sum()) * _SECONDS_A_FRAME >= PIECE_SECONDS:
            found.append(piece)
            rest &= ~piece
    return [*found, rest] if rest.any() else found
