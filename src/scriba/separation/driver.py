"""A recording through a separator, into files, with flat memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import BinaryIO

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler

from scriba.audio.decode import DecodeLimits, open_recording
from scriba.audio.samples import Sound
from scriba.domain.media import SAMPLE_RATE
from scriba.separation.port import Samples, Separator
from scriba.separation.wave_file import WaveWriter

Tell = Callable[[float, float | None], None]


def write_stems(
    source: BinaryIO,
    limits: DecodeLimits,
    sound: Sound,
    separator: Separator,
    voice: BinaryIO,
    music: BinaryIO,
    tell: Tell,
) -> float:
    """Both parts at the separator's own rate; the seconds of the recording."""
    writers = [WaveWriter(stream, sound.rate, 2 if sound.stereo else 1) for stream in (voice, music)]

    def write(part: Samples, mixed: Samples) -> None:
        writers[0].write(part)
        writers[1].write(mixed - part)

    seconds = _drive(source, limits, sound, separator, write, tell)
    for writer in writers:
        writer.close()
    return seconds


def write_speech(
    source: BinaryIO,
    limits: DecodeLimits,
    sound: Sound,
    separator: Separator,
    voice: BinaryIO,
    mixed: BinaryIO,
    tell: Tell,
) -> float:
    """The voice and, sample for sample beside it, the whole sound, both 16 kHz mono; seconds."""
    parts = [_Speech(stream, sound) for stream in (voice, mixed)]

    def write(part: Samples, whole: Samples) -> None:
        parts[0].write(part)
        parts[1].write(whole)

    seconds = _drive(source, limits, sound, separator, write, tell)
    for part in parts:
        part.close()
    return seconds


def _drive(
    source: BinaryIO,
    limits: DecodeLimits,
    sound: Sound,
    separator: Separator,
    write: Callable[[Samples, Samples], None],
    tell: Tell,
) -> float:
    waiting = _Waiting()
    with open_recording(source, limits, sound) as recording:
        total = recording.info.duration
        for block in recording.blocks():
            samples = np.atleast_2d(block)
            waiting.push(samples)
            part = separator.push(samples)
            if part.shape[1]:
                write(part, waiting.take(part.shape[1]))
            tell(recording.seconds_decoded, total)
        part = separator.finish()
        if part.shape[1]:
            write(part, waiting.take(part.shape[1]))
        return recording.seconds_decoded


class _Waiting:
    """Sound whose voice is not known yet."""

    def __init__(self) -> None:
        self._blocks: deque[Samples] = deque()

    def push(self, block: Samples) -> None:
        self._blocks.append(block)

    def take(self, count: int) -> Samples:
        parts: list[Samples] = []
        while count > 0:
            block = self._blocks.popleft()
            if block.shape[1] > count:
                self._blocks.appendleft(block[:, count:])
                block = block[:, :count]
            parts.append(block)
            count -= block.shape[1]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)


class _Speech:
    """A file of 16 kHz mono, whatever comes in."""

    def __init__(self, stream: BinaryIO, sound: Sound) -> None:
        self._writer = WaveWriter(stream, SAMPLE_RATE, 1)
        self._rate = sound.rate
        self._resampler = (
            AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
            if sound.rate != SAMPLE_RATE
            else None
        )

    def write(self, samples: Samples) -> None:
        mono = np.ascontiguousarray(samples.mean(axis=0, dtype=np.float32))[None]
        if self._resampler is None:
            self._writer.write(mono)
            return
        frame = AudioFrame.from_ndarray(mono, format="flt", layout="mono")
        frame.sample_rate = self._rate
        self._collect(frame)

    def close(self) -> None:
        if self._resampler is not None:
            self._collect(None)
        self._writer.close()

    def _collect(self, frame: AudioFrame | None) -> None:
        assert self._resampler is not None  # noqa: S101
        try:
            for piece in self._resampler.resample(frame):
                self._writer.write(piece.to_ndarray().astype(np.float32, copy=False))
        except av.EOFError:  # flushed before anything was pushed
            pass
