"""Sending a stored recording: with its right type, in ranges (RFC 9110, section 14), or not at all (304)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from urllib.parse import quote

from fastapi import Request, Response
from starlette.responses import StreamingResponse

from scriba.domain.media import Media

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_HEAD = 16
Stream = Callable[[Media, int, int | None], AsyncIterator[bytes]]


async def send(request: Request, media: Media, stream: Stream) -> Response:
    """The recording, or the part of it that was asked for."""
    etag = f'"{media.sha256}"'
    head = b"".join([block async for block in stream(media, 0, min(_HEAD, media.size))])
    headers = {
        "accept-ranges": "bytes",
        "etag": etag,
        "cache-control": "private, no-cache",
        "content-disposition": f"inline; filename*=UTF-8''{quote(media.name, safe='')}",
        # The type is what the bytes are, and no browser shall guess another.
        "x-content-type-options": "nosniff",
    }
    if _matches(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers=headers)
    wanted = _RANGE.fullmatch(request.headers.get("range", "").strip())
    condition = request.headers.get("if-range")
    if wanted is None or wanted.group() == "bytes=-" or (condition is not None and condition != etag):
        headers["content-length"] = str(media.size)
        return StreamingResponse(stream(media, 0, None), 200, headers, media_type(head))
    start, end = _bounds(wanted.group(1), wanted.group(2), media.size)
    if start >= end:
        headers["content-range"] = f"bytes */{media.size}"
        return Response(status_code=416, headers=headers)
    headers["content-length"] = str(end - start)
    headers["content-range"] = f"bytes {start}-{end - 1}/{media.size}"
    return StreamingResponse(stream(media, start, end), 206, headers, media_type(head))


def _bounds(first: str, last: str, size: int) -> tuple[int, int]:
    """From the first byte to behind the last; empty when there are none."""
    if not first:
        return (max(0, size - int(last)), size) if int(last) else (size, size)
    return int(first), size if not last else min(size, int(last) + 1)


def _matches(header: str | None, etag: str) -> bool:
    if header is None:
        return False
    return header.strip() == "*" or etag in [part.strip().removeprefix("W/") for part in header.split(",")]


def media_type(head: bytes) -> str:
    """Internet media type by the first bytes; names and claims of clients are not asked."""
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return "audio/wav"
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "video/x-msvideo"
    if head[4:8] == b"ftyp":
        if head[8:11] == b"M4A":
            return "audio/mp4"
        return "video/quicktime" if head[8:10] == b"qt" else "video/mp4"
    if head[:4] == b"\x1aE\xdf\xa3":
        return "video/webm"
    if head[:4] == b"OggS":
        return "audio/ogg"
    if head[:4] == b"fLaC":
        return "audio/flac"
    if head[:3] == b"ID3" or (len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0):
        return "audio/mpeg"
    return "application/octet-stream"
