"""A WAV file written piece by piece, of any length."""

from __future__ import annotations

import struct
from typing import BinaryIO

import numpy as np

from scriba.separation.port import Samples

_HEADER = struct.Struct("<4sI4s4sIQQQI4sIHHIIHH4sI")
DATA_OFFSET = _HEADER.size
"""Bytes before the first sample."""
_LARGEST = 0xFFFFFFFF
_LIMIT = _LARGEST
_DS64_BYTES = 28


class WaveWriter:
    """16-bit PCM. Beyond 4 GiB the file becomes RF64 (EBU Tech 3306), for which room is kept from the start.

    ``close`` writes the header; the stream stays open and must be seekable.
    """

    def __init__(self, stream: BinaryIO, rate: int, channels: int) -> None:
        self._stream = stream
        self._rate = rate
        self._channels = channels
        self._bytes = 0
        stream.write(bytes(_HEADER.size))

    def write(self, samples: Samples) -> None:
        """Float32 of shape (channels, samples); what passes full scale is clipped."""
        scaled = np.rint(np.clip(samples, -1.0, 1.0) * 32767).astype("<i2")
        data = np.ascontiguousarray(scaled.T).tobytes()
        self._stream.write(data)
        self._bytes += len(data)

    def close(self) -> None:
        large = self._bytes + _HEADER.size > _LIMIT
        frame = 2 * self._channels
        total = _HEADER.size - 8 + self._bytes
        header = _HEADER.pack(
            b"RF64" if large else b"RIFF",
            _LARGEST if large else total,
            b"WAVE",
            b"ds64" if large else b"JUNK",
            _DS64_BYTES,
            total if large else 0,
            self._bytes if large else 0,
            self._bytes // frame if large else 0,
            0,
            b"fmt ",
            16,
            1,
            self._channels,
            self._rate,
            self._rate * frame,
            frame,
            16,
            b"data",
            _LARGEST if large else self._bytes,
        )
        self._stream.seek(0)
        self._stream.write(header)
        self._stream.flush()
