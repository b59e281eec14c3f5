"""Decoded frames to 16 kHz mono float32."""

from __future__ import annotations

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

from scriba.audio.downmix import Downmixer, layout_weights
from scriba.audio.layouts import Interleaver
from scriba.domain.media import SAMPLE_RATE

LOUDEST = 4.0
"""Float files may pass full scale a little (mastered music, decoder overshoot); past +12 dB it is garbage."""

FrameKind = tuple[str, str, int, int]
"""Sample format, layout, channels and rate: what has to be equal for frames to be processed together."""


def frame_kind(frame: AudioFrame) -> FrameKind:
    """What this frame holds."""
    return frame.format.name, frame.layout.name, frame.layout.nb_channels, frame.sample_rate


def _raw(frame: AudioFrame) -> NDArray[np.generic]:
    """The frame's samples in its own type, shape (channels, samples)."""
    if frame.format.name.startswith("s64"):  # PyAV's own conversion does not know it
        planes = [np.frombuffer(bytes(plane), np.int64) for plane in frame.planes]
        width = frame.samples * (1 if frame.format.is_planar else frame.layout.nb_channels)
        array: NDArray[np.generic] = np.stack([plane[:width] for plane in planes])
    else:
        array = frame.to_ndarray()
    if frame.format.is_planar:
        return array
    return array.reshape(frame.samples, frame.layout.nb_channels).T


def to_float(frames: list[AudioFrame]) -> NDArray[np.float32]:
    """Frames of one kind, joined, shape (channels, samples), float32 with full scale at 1."""
    joined = np.concatenate([_raw(frame) for frame in frames], axis=1)
    if joined.dtype == np.uint8:
        centred: NDArray[np.float32] = (joined.astype(np.float32) - np.float32(128)) / np.float32(128)
        return centred
    if joined.dtype.kind == "i":
        scaled: NDArray[np.float32] = joined.astype(np.float32)
        scaled *= 2.0 ** (1 - 8 * joined.dtype.itemsize)
        return scaled
    samples: NDArray[np.float32] = joined.astype(np.float32)
    if not np.isfinite(samples).all():
        samples = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
    np.clip(samples, -LOUDEST, LOUDEST, out=samples)
    return samples


class Converter:
    """Mixes and resamples frames of one kind. A change of kind needs a new one (after ``finish``)."""

    def __init__(self, first: AudioFrame) -> None:
        self.rate = first.sample_rate
        self._interleave = Interleaver()
        self._mixer = Downmixer(layout_weights(first.layout), self.rate)
        self._resampler = (
            AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
            if self.rate != SAMPLE_RATE
            else None
        )

    def convert(self, frames: list[AudioFrame]) -> NDArray[np.float32]:
        """16 kHz mono samples of these frames, shape (samples,), less what the resampler still holds."""
        plain = [piece for frame in frames for piece in self._interleave(frame)]
        return self._resample(self._mixer.mix(to_float(plain)))

    def silence(self, samples: int) -> NDArray[np.float32]:
        """As ``convert``, for that many samples of silence at the file's own rate."""
        return self._resample(np.zeros(samples, np.float32))

    def finish(self) -> NDArray[np.float32]:
        """What the resampler still holds."""
        return self._collect(None) if self._resampler is not None else np.zeros(0, np.float32)

    def _resample(self, mono: NDArray[np.float32]) -> NDArray[np.float32]:
        if self._resampler is None:
            return np.ascontiguousarray(mono)
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(mono[None, :]), format="flt", layout="mono")
        frame.sample_rate = self.rate
        return self._collect(frame)

    def _collect(self, frame: AudioFrame | None) -> NDArray[np.float32]:
        assert self._resampler is not None  # noqa: S101
        try:
            pieces = [piece.to_ndarray()[0] for piece in self._resampler.resample(frame)]
        except av.EOFError:  # flushed before anything was pushed
            pieces = []
        return np.concatenate(pieces) if pieces else np.zeros(0, np.float32)
