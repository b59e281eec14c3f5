"""Raw samples of a live stream, of any rate and sample type, to 16 kHz mono float32 as they come.

What comes out depends on the bytes alone, not on how they were cut into messages: they are worked on in
pieces of 20 ms.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

from scriba.audio.samples import LOUDEST
from scriba.domain.errors import InvalidOptionError
from scriba.domain.media import SAMPLE_RATE

LOWEST_RATE, HIGHEST_RATE = 4_000, 192_000
MOST_CHANNELS = 8
PIECES_A_SECOND = 50


class PcmEncoding(StrEnum):
    """How a sample is written. ``pcmu`` and ``pcma`` are G.711's mu-law and A-law."""

    S16LE = "pcm_s16le"
    F32LE = "pcm_f32le"
    PCMU = "pcmu"
    PCMA = "pcma"

    @property
    def sample_bytes(self) -> int:
        return {PcmEncoding.S16LE: 2, PcmEncoding.F32LE: 4}.get(self, 1)


@dataclass(frozen=True, slots=True)
class PcmFormat:
    """What a client sends. Channels are interleaved; they are averaged."""

    encoding: PcmEncoding = PcmEncoding.S16LE
    sample_rate: int = SAMPLE_RATE
    channels: int = 1

    def __post_init__(self) -> None:
        if not LOWEST_RATE <= self.sample_rate <= HIGHEST_RATE:
            raise InvalidOptionError(
                f"sample_rate must be between {LOWEST_RATE} and {HIGHEST_RATE}, not {self.sample_rate}.",
                field="sample_rate",
            )
        if not 1 <= self.channels <= MOST_CHANNELS:
            raise InvalidOptionError(
                f"channels must be between 1 and {MOST_CHANNELS}, not {self.channels}.", field="channels"
            )

    @property
    def bytes_per_second(self) -> int:
        return self.sample_rate * self.frame_bytes

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample of every channel."""
        return self.encoding.sample_bytes * self.channels


class LivePcm:
    """One stream of raw samples. Not for two threads at once."""

    def __init__(self, form: PcmFormat) -> None:
        self._form = form
        self._piece = max(1, form.sample_rate // PIECES_A_SECOND) * form.frame_bytes
        self._rest = b""
        self._resampler = (
            AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
            if form.sample_rate != SAMPLE_RATE
            else None
        )

    def push(self, data: bytes) -> NDArray[np.float32]:
        """Bytes of any number in; what is complete out, shape (samples,). Full scale is 1."""
        data = self._rest + data
        if self._resampler is None:
            whole = len(data) // self._form.frame_bytes * self._form.frame_bytes
            self._rest = data[whole:]
            return self._mono(data[:whole])
        whole = len(data) // self._piece * self._piece
        self._rest = data[whole:]
        parts = [
            self._resample(self._mono(data[start : start + self._piece]))
            for start in range(0, whole, self._piece)
        ]
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)

    def finish(self) -> NDArray[np.float32]:
        """What is left at the end; half a sample is dropped."""
        whole = len(self._rest) // self._form.frame_bytes * self._form.frame_bytes
        data, self._rest = self._rest[:whole], b""
        mono = self._mono(data)
        if self._resampler is None:
            return mono
        parts = [self._resample(mono)] if len(mono) else []
        parts += [piece.to_ndarray()[0] for piece in self._resampler.resample(None)]
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)

    def close(self) -> None:
        """Free the resampler."""
        self._resampler = None

    def _mono(self, data: bytes) -> NDArray[np.float32]:
        match self._form.encoding:
            case PcmEncoding.S16LE:
                samples = np.frombuffer(data, "<i2").astype(np.float32) / np.float32(32768)
            case PcmEncoding.F32LE:
                samples = np.frombuffer(data, "<f4").astype(np.float32)
                if not np.isfinite(samples).all():
                    samples = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
                samples = np.clip(samples, -LOUDEST, LOUDEST)
            case PcmEncoding.PCMU:
                samples = _MU_LAW[np.frombuffer(data, np.uint8)]
            case PcmEncoding.PCMA:
                samples = _A_LAW[np.frombuffer(data, np.uint8)]
        if self._form.channels > 1:
            samples = samples.reshape(-1, self._form.channels).mean(axis=1, dtype=np.float32)
        return np.ascontiguousarray(samples, np.float32)

    def _resample(self, mono: NDArray[np.float32]) -> NDArray[np.float32]:
        assert self._resampler is not None  # noqa: S101
        frame = AudioFrame.from_ndarray(mono[None, :], format="flt", layout="mono")
        frame.sample_rate = self._form.sample_rate
        pieces = [piece.to_ndarray()[0] for piece in self._resampler.resample(frame)]
        return np.concatenate(pieces) if pieces else np.zeros(0, np.float32)


def _mu_law() -> NDArray[np.float32]:
    """ITU-T G.711, all 256 codes."""
    code = ~np.arange(256, dtype=np.int32) & 0xFF
    exponent, mantissa = (code >> 4) & 7, code & 15
    magnitude = (((mantissa << 3) + 0x84) << exponent) - 0x84
    return (np.where(code & 0x80, -magnitude, magnitude) / 32768).astype(np.float32)


def _a_law() -> NDArray[np.float32]:
    code = np.arange(256, dtype=np.int32) ^ 0x55
    exponent, mantissa = (code >> 4) & 7, code & 15
    low = (mantissa << 4) + 8
    magnitude = np.where(exponent == 0, low, (low + 0x100) << np.maximum(exponent - 1, 0))
    return (np.where(code & 0x80, magnitude, -magnitude) / 32768).astype(np.float32)


_MU_LAW = _mu_law()
_A_LAW = _a_law()
