"""Decoded frames to float32: 16 kHz mono for speech, or stereo at another rate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.plane import AudioPlane
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


_TYPES: dict[str, np.dtype[Any]] = {
    "u8": np.dtype(np.uint8),
    "s16": np.dtype(np.int16),
    "s32": np.dtype(np.int32),
    "s64": np.dtype(np.int64),
    "flt": np.dtype(np.float32),
    "dbl": np.dtype(np.float64),
}
"""Sample formats by FFmpeg's names; a ``p`` behind one means a plane for each channel."""


def to_float(frames: list[AudioFrame]) -> NDArray[np.float32]:
    """Frames of one kind, joined, shape (channels, samples), float32 with full scale at 1."""
    name, _, channels, _ = frame_kind(frames[0])
    dtype = _TYPES[name.removesuffix("p")]
    samples = np.empty((channels, sum(frame.samples for frame in frames)), np.float32)
    start = 0
    for frame in frames:  # each sample is copied once, and converted on the way
        count, end = frame.samples, start + frame.samples
        if frame.format.is_planar:
            for channel, plane in zip(samples, frame.planes, strict=True):
                channel[start:end] = _values(plane, dtype, count)
        else:
            interleaved = _values(frame.planes[0], dtype, count * channels)
            samples[:, start:end] = interleaved.reshape(count, channels).T
        start = end
    if dtype.kind == "f":
        return _bounded(samples)
    if dtype.kind == "u":
        samples -= 128
    samples *= 2.0 ** (1 - 8 * dtype.itemsize)
    return samples


def _values(plane: AudioPlane, dtype: np.dtype[Any], count: int) -> NDArray[Any]:
    values: NDArray[Any] = np.frombuffer(plane, dtype, count)  # type: ignore[call-overload]  # it is a buffer
    return values


def _bounded(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Numbers that are none as silence, and nothing past ``LOUDEST``."""
    if samples.min() >= -LOUDEST and samples.max() <= LOUDEST:  # false for what is no number, too
        return samples
    samples = np.where(np.isfinite(samples), samples, np.float32(0))
    return np.clip(samples, -LOUDEST, LOUDEST, out=samples)


@dataclass(frozen=True, slots=True)
class Sound:
    """What a recording is decoded to: samples a second, in one channel, two, or ``each`` of its own."""

    rate: int = SAMPLE_RATE
    stereo: bool = False
    each: bool = False

    def converter(self, first: AudioFrame) -> Converter | StereoConverter | EachConverter:
        if self.each:
            return EachConverter(first, self.rate)
        return StereoConverter(first, self.rate) if self.stereo else Converter(first, self.rate)


SPEECH = Sound()
"""What recognition hears."""


class Converter:
    """Mixes and resamples frames of one kind. A change of kind needs a new one (after ``finish``)."""

    def __init__(self, first: AudioFrame, rate: int = SAMPLE_RATE) -> None:
        self.rate = first.sample_rate
        self._interleave = Interleaver()
        self._mixer = Downmixer(layout_weights(first.layout), self.rate)
        self._resampler = (
            AudioResampler(format="flt", layout="mono", rate=rate) if self.rate != rate else None
        )

    def convert(self, frames: list[AudioFrame]) -> NDArray[np.float32]:
        """Mono samples at the rate asked for, shape (samples,), less what the resampler still holds."""
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


class StereoConverter:
    """As ``Converter``, to two channels. One channel becomes both; more than two are mixed to one first."""

    def __init__(self, first: AudioFrame, rate: int) -> None:
        self.rate = first.sample_rate
        self._interleave = Interleaver()
        channels = first.layout.nb_channels
        self._mixer = Downmixer(layout_weights(first.layout), self.rate) if channels > 2 else None
        self._resampler = (
            AudioResampler(format="fltp", layout="stereo", rate=rate) if self.rate != rate else None
        )

    def convert(self, frames: list[AudioFrame]) -> NDArray[np.float32]:
        """Shape (2, samples), less what the resampler still holds."""
        samples = to_float([piece for frame in frames for piece in self._interleave(frame)])
        if self._mixer is not None:
            samples = self._mixer.mix(samples)[None]
        return self._resample(np.broadcast_to(samples, (2, samples.shape[1])))

    def silence(self, samples: int) -> NDArray[np.float32]:
        """As ``convert``, for that many samples of silence at the file's own rate."""
        return self._resample(np.zeros((2, samples), np.float32))

    def finish(self) -> NDArray[np.float32]:
        """What the resampler still holds."""
        return self._collect(None) if self._resampler is not None else np.zeros((2, 0), np.float32)

    def _resample(self, stereo: NDArray[np.float32]) -> NDArray[np.float32]:
        stereo = np.ascontiguousarray(stereo)
        if self._resampler is None:
            return stereo
        frame = AudioFrame.from_ndarray(stereo, format="fltp", layout="stereo")
        frame.sample_rate = self.rate
        return self._collect(frame)

    def _collect(self, frame: AudioFrame | None) -> NDArray[np.float32]:
        assert self._resampler is not None  # noqa: S101
        try:
            pieces = [piece.to_ndarray() for piece in self._resampler.resample(frame)]
        except av.EOFError:  # flushed before anything was pushed
            pieces = []
        return np.concatenate(pieces, axis=1) if pieces else np.zeros((2, 0), np.float32)


class EachConverter:
    """As ``Converter``, to the recording's own channels, each by itself."""

    def __init__(self, first: AudioFrame, rate: int) -> None:
        self.rate = first.sample_rate
        self._interleave = Interleaver()
        self._channels = first.layout.nb_channels
        self._resamplers = (
            [AudioResampler(format="flt", layout="mono", rate=rate) for _ in range(self._channels)]
            if self.rate != rate
            else []
        )

    def convert(self, frames: list[AudioFrame]) -> NDArray[np.float32]:
        """Shape (channels, samples), less what the resamplers still hold."""
        return self._resample(to_float([piece for frame in frames for piece in self._interleave(frame)]))

    def silence(self, samples: int) -> NDArray[np.float32]:
        """As ``convert``, for that many samples of silence at the file's own rate."""
        return self._resample(np.zeros((self._channels, samples), np.float32))

    def finish(self) -> NDArray[np.float32]:
        """What the resamplers still hold."""
        if not self._resamplers:
            return np.zeros((self._channels, 0), np.float32)
        return np.stack([_collected(resampler, None) for resampler in self._resamplers])

    def _resample(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        if not self._resamplers:
            return np.ascontiguousarray(samples)
        parts: list[NDArray[np.float32]] = []
        for resampler, channel in zip(self._resamplers, samples, strict=True):
            frame = AudioFrame.from_ndarray(np.ascontiguousarray(channel[None]), format="flt", layout="mono")
            frame.sample_rate = self.rate
            parts.append(_collected(resampler, frame))
        return np.stack(parts)


def _collected(resampler: AudioResampler, frame: AudioFrame | None) -> NDArray[np.float32]:
    try:
        pieces = [piece.to_ndarray()[0] for piece in resampler.resample(frame)]
    except av.EOFError:  # flushed before anything was pushed
        pieces = []
    return np.concatenate(pieces) if pieces else np.zeros(0, np.float32)
