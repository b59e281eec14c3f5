"""Raw samples of a live stream as a WAV file that is nowhere written: a header, then the bytes that came."""

from __future__ import annotations

import io
import struct
from pathlib import Path

from scriba.audio.live_pcm import PcmEncoding, PcmFormat

_TAGS = {PcmEncoding.S16LE: 1, PcmEncoding.F32LE: 3, PcmEncoding.PCMA: 6, PcmEncoding.PCMU: 7}
"""WAVE_FORMAT_* of mmreg.h."""
_TO_THE_END = 0xFFFFFFFF
"""As a size: more than a header can say, so readers go on to the end of the file."""


class HeadedSamples(io.RawIOBase):
    """Readable and seekable; ``path`` holds whole samples of ``form``, and what is left over is not shown.

    Raises:
        OSError: there is no such file.
    """

    def __init__(self, path: Path, form: PcmFormat) -> None:
        super().__init__()
        self._header = _header(form)
        self._file = path.open("rb")
        size = self._file.seek(0, io.SEEK_END)
        self._size = len(self._header) + size // form.frame_bytes * form.frame_bytes
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def read(self, size: int = -1) -> bytes:
        end = self._size if size < 0 else min(self._size, self._at + size)
        header = self._header[self._at : end]
        self._at += len(header)
        if self._at >= end:
            return header
        self._file.seek(self._at - len(self._header))
        data = self._file.read(end - self._at)
        self._at += len(data)
        return header + data

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


def _header(form: PcmFormat) -> bytes:
    """RIFF/WAVE (Multimedia Programming Interface and Data Specifications 1.0, 1991)."""
    shape = struct.pack(
        "<HHIIHH",
        _TAGS[form.encoding],
        form.channels,
        form.sample_rate,
        form.bytes_per_second,
        form.frame_bytes,
        8 * form.encoding.sample_bytes,
    )
    chunks = b"WAVEfmt " + struct.pack("<I", len(shape)) + shape + b"data" + struct.pack("<I", _TO_THE_END)
    return b"RIFF" + struct.pack("<I", _TO_THE_END) + chunks
