"""Reading an upload: the file goes to disk as it arrives, the other fields are kept.

A field is told by its name alone; content types that clients send are not looked at, and file names are only
kept. The file has no name on disk, so that it is gone with its last handle: after success, failure, a hang-up
and a crash.
"""

from __future__ import annotations

import asyncio
import errno
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import BinaryIO, cast

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from scriba.domain.errors import (
    CancelledByUserError,
    EmptyMediaError,
    InvalidOptionError,
    MediaTooLargeError,
    OverloadedError,
)
from scriba.doors.context import UploadLimits, facts_of
from scriba.doors.errors import MalformedRequestError, UploadTimeoutError, WrongContentTypeError

FILE_FIELD = "file"
MAX_FIELDS = 256
MAX_FIELDS_BYTES = 1_000_000
"""All fields beside the file together, names included."""
MAX_FRAMING_BYTES = 1_000_000
"""Boundaries and headers of the parts, beyond file and fields."""
_WRITE_BYTES = 1 << 20
_DISK_FULL_RETRY_SECONDS = 60.0


@dataclass(slots=True)
class UploadForm:
    """A form as it was sent: each field's values in order, and the file from its first byte."""

    fields: dict[str, list[str]] = field(default_factory=dict)
    file: BinaryIO | None = None
    file_bytes: int = 0
    file_name: str = ""
    """What the client calls the file: for showing, never for more."""

    def require_file(self) -> BinaryIO:
        """The file, which must be there and hold something.

        Raises:
            InvalidOptionError: no file was sent.
            EmptyMediaError: it holds no bytes.
        """
        if self.file is None:
            raise InvalidOptionError(f"{FILE_FIELD} is missing: send the recording in it.", field=FILE_FIELD)
        if self.file_bytes == 0:
            raise EmptyMediaError(f"{FILE_FIELD} is empty: it holds no bytes.", field=FILE_FIELD)
        return self.file


class _Reader:
    """The parser's callbacks: sort bytes into fields and file, and count them."""

    def __init__(self, boundary: bytes, limits: UploadLimits, max_fields_bytes: int) -> None:
        self.form = UploadForm()
        self.to_write: list[bytes] = []
        self.waiting_bytes = 0
        self._limits = limits
        self._max_fields_bytes = max_fields_bytes
        self._fields_bytes = 0
        self._header_name = b""
        self._header_value = b""
        self._disposition = b""
        self._name = ""
        self._value = bytearray()
        self._closed = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._part_begin,
                "on_header_field": self._on_header_field,
                "on_header_value": self._on_header_value,
                "on_header_end": self._header_end,
                "on_headers_finished": self._headers_finished,
                "on_part_data": self._part_data,
                "on_part_end": self._part_end,
                "on_end": self._end,
            },
        )

    def feed(self, data: bytes) -> None:
        try:
            self._parser.write(data)
        except FormParserError:
            raise MalformedRequestError("The body is not valid multipart/form-data.") from None

    def finish(self) -> None:
        if not self._closed:
            raise MalformedRequestError("The body ends before its last multipart boundary.")

    def _end(self) -> None:
        self._closed = True

    def _part_begin(self) -> None:
        self._header_name = self._header_value = self._disposition = b""
        self._name = ""
        self._value = bytearray()

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _header_end(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._disposition = self._header_value
        self._header_name = self._header_value = b""

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        raw = options.get(b"name")
        if raw is None:
            raise MalformedRequestError("A part of the form has no name.")
        self._name = raw.decode("utf-8", "replace")
        if self._name == FILE_FIELD:
            self.form.file_name = options.get(b"filename", b"").decode("utf-8", "replace")
            if self.form.file is not None:
                raise InvalidOptionError(
                    f"{FILE_FIELD} was sent twice; send one recording.", field=FILE_FIELD
                )
            self.form.file = cast(BinaryIO, tempfile.TemporaryFile(dir=self._limits.directory))  # noqa: SIM115
        elif sum(map(len, self.form.fields.values())) >= MAX_FIELDS:
            raise MalformedRequestError(f"The form has more than {MAX_FIELDS} fields.")

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        size = end - start
        if self._name == FILE_FIELD:
            self.form.file_bytes += size
            if self.form.file_bytes > self._limits.max_bytes:
                raise too_large(self._limits.max_bytes)
            self.to_write.append(bytes(data[start:end]))
            self.waiting_bytes += size
            return
        self._fields_bytes += size
        if self._fields_bytes > self._max_fields_bytes:
            raise MalformedRequestError(
                f"The fields beside {FILE_FIELD} exceed {self._max_fields_bytes} bytes."
            )
        self._value += data[start:end]

    def _part_end(self) -> None:
        if self._name != FILE_FIELD:
            text = self._value.decode("utf-8", "replace")
            self.form.fields.setdefault(self._name, []).append(text)


@asynccontextmanager
async def receive_form(
    request: Request, limits: UploadLimits, max_fields_bytes: int = MAX_FIELDS_BYTES
) -> AsyncIterator[UploadForm]:
    """Read the request's form; the file is deleted when the context ends.

    Args:
        max_fields_bytes: of all fields beside the file together.

    Raises:
        WrongContentTypeError: the body is no ``multipart/form-data``.
        MediaTooLargeError: the file exceeds ``limits.max_bytes``; raised while it arrives.
        MalformedRequestError: the body breaks off or breaks the format.
        UploadTimeoutError: nothing came for ``limits.idle_seconds``.
        CancelledByUserError: the client hung up.
        OverloadedError: the disk is full.
    """
    reader = _Reader(_boundary(request), limits, max_fields_bytes)
    length = request.headers.get("content-length", "")
    allowed = limits.max_bytes + max_fields_bytes + MAX_FRAMING_BYTES
    if length.isdecimal() and int(length) > allowed:
        raise too_large(limits.max_bytes)
    try:
        received = 0
        more = True
        while more:
            body, more = await _next_body(request, limits)
            received += len(body)
            if received > allowed:
                raise too_large(limits.max_bytes)
            reader.feed(body)
            if reader.waiting_bytes >= _WRITE_BYTES or not more:
                await _flush(reader)
        reader.finish()
        form = reader.form
        if form.file is not None:
            form.file.seek(0)
        facts_of(request.scope).upload_bytes = form.file_bytes
        yield form
    finally:
        if reader.form.file is not None:
            with suppress(OSError):  # it closes all the same; what a full disk did not take is not wanted
                reader.form.file.close()


def too_large(max_bytes: int) -> MediaTooLargeError:
    return MediaTooLargeError(
        f"{FILE_FIELD} is larger than the {max_bytes:,} bytes this server takes.", field=FILE_FIELD
    )


def _boundary(request: Request) -> bytes:
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != b"multipart/form-data":
        raise WrongContentTypeError(
            f"Content-Type must be multipart/form-data with the recording in the field {FILE_FIELD}."
        )
    boundary = options.get(b"boundary", b"")
    if not 1 <= len(boundary) <= 256:
        raise MalformedRequestError("The Content-Type's multipart boundary is missing or too long.")
    return boundary


async def _next_body(request: Request, limits: UploadLimits) -> tuple[bytes, bool]:
    try:
        message = await asyncio.wait_for(request.receive(), limits.idle_seconds)
    except TimeoutError:
        raise UploadTimeoutError(
            f"The upload stood still for {limits.idle_seconds:g} seconds and was given up."
        ) from None
    if message["type"] == "http.disconnect":
        raise CancelledByUserError("The client hung up during its upload.")
    return message.get("body", b""), message.get("more_body", False)


async def _flush(reader: _Reader) -> None:
    file = reader.form.file
    if file is None or not reader.to_write:
        return
    chunks, reader.to_write, reader.waiting_bytes = reader.to_write, [], 0

    def write() -> None:
        file.writelines(chunks)
        file.flush()  # so that a full disk is met here, also by a small upload

    try:
        await asyncio.to_thread(write)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise OverloadedError(
                "The server has no room on its disk for the upload.", retry_after=_DISK_FULL_RETRY_SECONDS
            ) from None
        raise
