"""The one way sound comes in: any container and codec, as a stream of float32 blocks, 16 kHz mono for speech.

Memory does not grow with length. Bytes read, seconds decoded and bytes decoded are counted in the loop
itself, because headers lie.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from numpy.typing import NDArray

from scriba.audio.container import choose_audio, describe, open_container
from scriba.audio.damage import DamageReport, no_samples
from scriba.audio.layouts import refuse_custom_layouts
from scriba.audio.samples import (
    SPEECH,
    Converter,
    EachConverter,
    FrameKind,
    Sound,
    StereoConverter,
    frame_kind,
)
from scriba.audio.source import ByteSource
from scriba.audio.timeline import Timeline
from scriba.domain.cancel import CancelToken
from scriba.domain.errors import MediaTooLargeError, UnsupportedMediaError
from scriba.domain.media import MediaInfo

BATCH_SECONDS = 1.0
LONGEST_BLOCK_SECONDS = 2
LOWEST_RATE, HIGHEST_RATE = 2_000, 1_536_000
"""Sample rates that a real recording may have; others are a header that lies."""
DEMUX_RETRIES = 3
ROUNDING = 1e-3
"""Seconds that adding up frames may be off by: a recording of exactly the length allowed is allowed."""

# What PyAV raises on hostile bytes: FFmpeg's errors, and its own checks of what FFmpeg returned.
_DECODE_ERRORS = (
    av.FFmpegError,
    ValueError,
    OverflowError,
    ArithmeticError,
    LookupError,
    NotImplementedError,
)


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """Bounds on one recording; None is no bound. ``max_decoded_bytes`` counts the decoder's own output."""

    max_bytes: int | None = None
    max_seconds: float | None = None
    max_decoded_bytes: int | None = None


class Recording:
    """An opened recording. A context manager; ``blocks`` may be iterated once."""

    def __init__(
        self,
        source: ByteSource,
        container: InputContainer,
        limits: DecodeLimits,
        owned: BinaryIO | None,
        sound: Sound = SPEECH,
    ) -> None:
        self._sound = sound
        self._source = source
        self._container: InputContainer | None = container
        self._limits = limits
        self._owned = owned
        self._stream: AudioStream | None = choose_audio(container)
        self.info: MediaInfo = describe(container, self._stream)
        self._claimed = (
            float(self._stream.duration * self._stream.time_base)
            if self._stream.duration and self._stream.time_base
            else None
        )
        start = container.start_time
        self._timeline = Timeline(start / av.time_base if start is not None else None)
        self._seconds = 0.0
        self._decoded_bytes = 0
        self._samples_out = 0

    @property
    def seconds_decoded(self) -> float:
        """Seconds of audio handed out so far, silence that stands for gaps included."""
        return self._samples_out / self._sound.rate

    @property
    def seconds_filled(self) -> float:
        """Seconds of silence put in where the file's timestamps skip time."""
        return self._timeline.filled

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Free the decoder's memory and, if it was opened here, the file. May be called again."""
        self._stream = None
        container, self._container = self._container, None
        if container is not None:
            container.close()
        owned, self._owned = self._owned, None
        if owned is not None:
            owned.close()

    def blocks(self, cancel: CancelToken | None = None) -> Iterator[NDArray[np.float32]]:
        """The whole recording in blocks of about one second (two at most).

        Float32 of shape (samples,), or (channels, samples) where the sound asked for has several. Full scale
        is 1; a peak may pass it a little. Closes the recording at its end, on an error, and when the
        iterator is closed or dropped.

        Raises:
            EmptyMediaError: the audio track holds no samples.
            UnsupportedMediaError: the audio is corrupt (rule: ``scriba.audio.damage``).
            MediaTooLargeError: a limit was passed.
            CancelledByUserError: ``cancel`` was set.
        """
        stream, container = self._stream, self._container
        if stream is None or container is None:
            raise ValueError("The recording is closed.")
        self._source.cancel = cancel
        longest = LONGEST_BLOCK_SECONDS * self._sound.rate
        try:
            for samples in self._convert(self._frames(container, stream, cancel)):
                for start in range(0, samples.shape[-1], longest):
                    if cancel is not None:
                        cancel.check()
                    block = samples[..., start : start + longest]
                    self._samples_out += block.shape[-1]
                    yield block
            if not self._samples_out:
                raise no_samples()
        except _DECODE_ERRORS as error:
            raise UnsupportedMediaError(
                "The file is corrupt: its audio cannot be converted.", field="file"
            ) from error
        finally:
            self.close()

    def _frames(
        self, container: InputContainer, stream: AudioStream, cancel: CancelToken | None
    ) -> Iterator[AudioFrame]:
        """Every frame with samples, in order; what fails is counted and passed over."""
        damage = DamageReport(self.info.codec, self._claimed)
        audible = 0.0
        for packet in self._packets(container, stream, damage):
            self._source.raise_stashed()
            if cancel is not None:
                cancel.check()
            try:
                frames = stream.codec_context.decode(packet)
            except av.EOFError:
                continue
            except _DECODE_ERRORS:
                self._source.raise_stashed()
                if (packet is not None and packet.size) or not audible:  # a decoder may not even open
                    damage.packet_failed()
                continue
            refuse_custom_layouts(frames)
            seconds = 0.0
            for frame in frames:
                if frame.samples <= 0:
                    continue
                self._check_frame(frame)
                seconds += frame.samples / frame.sample_rate
                yield frame
            audible += seconds
            if packet is not None and packet.size:
                damage.packet_decoded(seconds)
        damage.finished(audible)

    def _packets(
        self, container: InputContainer, stream: AudioStream, damage: DamageReport
    ) -> Iterator[Packet[AudioStream] | None]:
        """The audio track's packets, then one that makes the decoder give up what it holds."""
        retries = 0
        while True:
            try:
                for packet in container.demux(stream):
                    retries = 0
                    yield packet
            except _DECODE_ERRORS:
                self._source.raise_stashed()
                damage.packet_failed()
                retries += 1
                if retries <= DEMUX_RETRIES:
                    continue
                yield None
            return

    def _check_frame(self, frame: AudioFrame) -> None:
        rate, channels = frame.sample_rate, frame.layout.nb_channels
        if not LOWEST_RATE <= rate <= HIGHEST_RATE:
            raise UnsupportedMediaError(
                f"The file says its sample rate is {rate} Hz; it must be between "
                f"{LOWEST_RATE} and {HIGHEST_RATE} Hz.",
                field="file",
            )
        self._count(frame.samples / rate, frame.samples * channels * frame.format.bytes)

    def _count(self, seconds: float, decoded_bytes: int) -> None:
        self._seconds += seconds
        self._decoded_bytes += decoded_bytes
        limits = self._limits
        if limits.max_seconds is not None and self._seconds > limits.max_seconds + ROUNDING:
            raise MediaTooLargeError(
                f"The recording is longer than the {limits.max_seconds:g} seconds allowed: "
                f"it has at least {self._seconds:.2f}.",
                field="file",
            )
        if limits.max_decoded_bytes is not None and self._decoded_bytes > limits.max_decoded_bytes:
            raise MediaTooLargeError(
                f"The recording decodes to more than the {limits.max_decoded_bytes} bytes allowed: "
                f"to at least {self._decoded_bytes}.",
                field="file",
            )

    def _convert(self, frames: Iterator[AudioFrame]) -> Iterator[NDArray[np.float32]]:
        """Frames to the sound asked for, a second's worth at a time, with silence where timestamps skip."""
        converter: Converter | StereoConverter | EachConverter | None = None
        kind: FrameKind | None = None
        batch: list[AudioFrame] = []
        held = 0.0
        for frame in frames:
            gap = self._timeline.silence_before(frame.time)
            if batch and (gap or held >= BATCH_SECONDS or frame_kind(frame) != kind):
                assert converter is not None  # noqa: S101
                yield converter.convert(batch)
                batch, held = [], 0.0
            if converter is None or frame_kind(frame) != kind:
                if converter is not None:
                    yield converter.finish()
                converter, kind = self._sound.converter(frame), frame_kind(frame)
            for samples in _slices(round(gap * converter.rate), converter.rate):
                self._count(samples / converter.rate, 4 * samples)
                yield converter.silence(samples)
            seconds = frame.samples / frame.sample_rate
            self._timeline.advance(seconds)
            batch.append(frame)
            held += seconds
        if converter is not None:
            if batch:
                yield converter.convert(batch)
            yield converter.finish()


def _slices(total: int, longest: int) -> Iterator[int]:
    while total > 0:
        yield min(total, longest)
        total -= longest


def open_recording(
    source: Path | BinaryIO, limits: DecodeLimits | None = None, sound: Sound = SPEECH
) -> Recording:
    """Probe a file of our own naming, or a seekable binary stream from its start (which stays open).

    ``sound`` is what it is decoded to.

    Raises:
        EmptyMediaError: it holds no bytes.
        UnsupportedMediaError: it is no media that can be decoded, or has no audio track.
        MediaTooLargeError: it holds more bytes than ``limits`` allow.
    """
    limits = limits or DecodeLimits()
    owned: BinaryIO | None = None
    if isinstance(source, Path):
        try:
            owned = source.open("rb")
        except OSError as error:
            raise UnsupportedMediaError(
                f"The file cannot be opened: {error.strerror or 'unknown reason'}.", field="file"
            ) from error
    with contextlib.ExitStack() as undo:
        if owned is not None:
            undo.callback(owned.close)
        stream = owned if owned is not None else source
        assert not isinstance(stream, Path)  # noqa: S101
        view = ByteSource(stream, limits.max_bytes)
        view.measure()
        container = open_container(view)
        undo.callback(container.close)
        recording = Recording(view, container, limits, owned, sound)
        undo.pop_all()
    return recording
