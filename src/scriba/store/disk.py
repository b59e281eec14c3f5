"""A disk that is full, as an error for whoever sent the bytes."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from scriba.domain.errors import StorageFullError


@contextmanager
def room_on_disk() -> Iterator[None]:
    """Around files that are written and closed within.

    Raises:
        StorageFullError: the disk took no more.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFullError("There is no room left on the server's disk.") from None
        raise
