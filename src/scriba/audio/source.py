"""The bytes of a recording as the demuxer sees them: counted, capped, cancellable and nothing else.

The demuxer never gets a name or a path, so nothing can be guessed from a client's file name and nothing
inside a file can be resolved relative to it.
"""

from __future__ import annotations

import io
from typing import BinaryIO

from scriba.domain.cancel import CancelToken
from scriba.domain.errors import EmptyMediaError, MediaTooLargeError, UnsupportedMediaError


def unreadable() -> UnsupportedMediaError:
    """For a stream that fails, or is none that can be moved in (a pipe)."""
    return UnsupportedMediaError("The file could not be read.", field="file")


class ByteSource:
    """A read-only, seekable view of a binary stream, from its first byte to its last.

    ``max_bytes`` bounds how far into the stream anything may read; None is no bound. It is not closed here.
    """

    def __init__(self, stream: BinaryIO, max_bytes: int | None) -> None:
        self._stream = stream
        self._max_bytes = max_bytes
        self._furthest = 0
        self.cancel: CancelToken | None = None
        self._error: Exception | None = None

    def measure(self) -> int:
        """Size in bytes, found by seeking, so that a file too large is refused before it is read.

        Raises:
            EmptyMediaError: there are none.
            MediaTooLargeError: there are more than ``max_bytes``.
            UnsupportedMediaError: the stream cannot be read or not be moved in.
        """
        try:
            size = self._stream.seek(0, io.SEEK_END)
            self._stream.seek(0)
        except (OSError, ValueError) as error:
            raise unreadable() from error
        if size == 0:
            raise EmptyMediaError("The file is empty: it holds 0 bytes.", field="file")
        self._check_size(size)
        return size

    def read(self, size: int = -1) -> bytes:
        """Up to ``size`` bytes; ``b""`` at the end, and from the first failure on.

        C code calls this, which an exception cannot cross: ``raise_stashed`` raises it on the other side.
        """
        if self._error is not None:
            return b""
        try:
            if self.cancel is not None:
                self.cancel.check()
            data = self._stream.read(size)
            if data:
                self._furthest = max(self._furthest, self._stream.tell())
                self._check_size(self._furthest)
        except Exception as error:
            self._error = error
            return b""
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to an offset; returns the new one, or -1 for one that a corrupt file made up."""
        try:
            return self._stream.seek(offset, whence)
        except (OSError, ValueError, OverflowError):
            return -1

    def tell(self) -> int:
        """The present offset."""
        return self._stream.tell()

    def raise_stashed(self) -> None:
        """Raise what a read met, if anything: for the demuxer it was the end of the file.

        Raises:
            ScribaError: a bound was passed, the work was cancelled, or the stream could not be read.
        """
        error = self._error
        if isinstance(error, (OSError, ValueError)):
            raise unreadable() from error
        if error is not None:
            raise error

    def _check_size(self, size: int) -> None:
        if self._max_bytes is not None and size > self._max_bytes:
            raise MediaTooLargeError(
                f"The file is larger than the {self._max_bytes} bytes allowed: it has at least {size}.",
                field="file",
            )
