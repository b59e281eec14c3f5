"""Headers of a file that a client shall save."""

from __future__ import annotations

from urllib.parse import quote


def download_headers(name: str, size: int) -> dict[str, str]:
    """``name`` is a base name; the plain form is for old clients, without what they might trip over."""
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "._- ") else "_" for c in name)
    return {
        "content-length": str(size),
        "content-disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}",
        "cache-control": "private, no-store",
        "x-content-type-options": "nosniff",
    }
