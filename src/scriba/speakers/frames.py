"""The time axis of the segmentation network, and what its classes mean."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scriba.domain.media import SAMPLE_RATE

Activity = NDArray[np.bool_]
"""(frames, local speakers): who speaks in a frame of one window."""

WINDOW_SECONDS = 10.0
WINDOW_SAMPLES = round(WINDOW_SECONDS * SAMPLE_RATE)
FRAME_STEP = 270
"""Samples from one frame to the next."""
FRAME_SPAN = 991
"""Samples that a frame hears."""
WINDOW_FRAMES = 589
LOCAL_SPEAKERS = 3

_CLASSES = np.array(
    [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1]], dtype=np.bool_
)


def active_speakers(classes: NDArray[np.float32]) -> Activity:
    """(frames, 3) out of (frames, 7) scores: the most probable set of speakers of each frame."""
    activity: Activity = _CLASSES[classes.argmax(axis=-1)]
    return activity


def frame_time(frame: float) -> float:
    """Seconds of the centre of a frame, from the start of the axis."""
    return (frame * FRAME_STEP + FRAME_SPAN / 2) / SAMPLE_RATE


def first_frame(sample: int) -> int:
    """The frame of the recording's axis that the first frame of a window at ``sample`` falls on."""
    return round(sample / FRAME_STEP)


def frames_of_features(count: int) -> NDArray[np.int64]:
    """For each of ``count`` feature frames (25 ms every 10 ms), the segmentation frame at its centre."""
    centres = np.arange(count) * 160 + 200
    nearest: NDArray[np.int64] = np.rint((centres - FRAME_SPAN / 2) / FRAME_STEP).astype(np.int64)
    return np.clip(nearest, 0, WINDOW_FRAMES - 1)
