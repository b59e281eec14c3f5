"""Small tools for large files: hashes, room on the disk, linking instead of copying."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from scriba.domain.cancel import CancelToken
from scriba.models.failures import DamagedDownloadError, DiskFullError

ProgressCallback = Callable[[int, int | None, str], None]
"""``(bytes done, bytes in all or None, what is being done)``; called often, from the thread that pulls."""

_BLOCK = 1 << 20
_SPARE = 64 << 20
"""Room left free on the disk beyond what a model takes."""


def no_progress(_done: int, _total: int | None, _what: str) -> None:
    """For callers that do not watch."""


def sha256_of(path: Path, cancel: CancelToken | None = None) -> str:
    """SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            if cancel is not None:
                cancel.check()
            digest.update(block)
    return digest.hexdigest()


def require_sha256(path: Path, expected: str, what: str, cancel: CancelToken | None = None) -> None:
    """Check a file against its published hash; a file that fails is deleted.

    Raises:
        DamagedDownloadError: it is another file, or damaged.
    """
    actual = sha256_of(path, cancel)
    if actual != expected:
        path.unlink(missing_ok=True)
        raise DamagedDownloadError(
            f"{what} does not have the published SHA-256 and was deleted. Try again; if it happens again, "
            "something between here and the source changes the file.",
            detail=f"expected {expected}, got {actual}",
        )


def require_space(directory: Path, needed: int) -> None:
    """Refuse early what would fill the disk.

    Raises:
        DiskFullError: fewer than ``needed`` bytes and some to spare are free.
    """
    free = shutil.disk_usage(directory).free
    if free < needed + _SPARE:
        raise DiskFullError(
            f"The disk is too full: {_megabytes(needed + _SPARE)} MB are needed and {_megabytes(free)} MB "
            "are free. Free some space in the models directory and try again.",
            detail=str(directory),
        )


def link_or_copy(source: Path, target: Path) -> None:
    """Put the content of ``source`` at ``target``, without taking room twice where the file system can."""
    real = source.resolve()
    try:
        os.link(real, target)
    except OSError:
        shutil.copyfile(real, target)


def _megabytes(size: int) -> int:
    return -(-size // 1_000_000)
