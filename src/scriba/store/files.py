"""Files that a job made, for a while: each a blob, removed when its time is over."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import BinaryIO

from scriba.domain.errors import GoneError, MediaLostError
from scriba.store.blobs import Blobs

_PREFIX = "files"


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file by its blob. ``name`` is what a client may call it; ``size`` is bytes."""

    key: str
    name: str
    size: int


class FileStore:
    """Keeps files for ``seconds`` after they were written. Needs no table: a blob knows its own age."""

    def __init__(self, blobs: Blobs, seconds: float) -> None:
        self._blobs = blobs
        self.seconds = seconds

    async def put(self, file: BinaryIO, name: str) -> StoredFile:
        """Keep everything from the file's position on.

        Raises:
            StorageFullError: there is no room.
        """
        start = file.tell()
        size = file.seek(0, 2) - start
        file.seek(start)
        key = f"{_PREFIX}/{uuid.uuid4()}"
        await self._blobs.put_file(key, file)
        return StoredFile(key, name, size)

    async def stream(self, file: StoredFile, written_at: float) -> AsyncIterator[bytes]:
        """Its bytes, from the first on: the first is asked for before this returns.

        Args:
            written_at: seconds since the epoch.

        Raises:
            GoneError: its time is over.
        """
        if time.time() > written_at + self.seconds:
            raise _expired()
        blocks = aiter(self._blobs.stream(file.key))
        try:
            first = await anext(blocks, b"")
        except MediaLostError:
            raise _expired() from None

        async def everything() -> AsyncIterator[bytes]:
            yield first
            async for block in blocks:
                yield block

        return everything()

    async def drop(self, file: StoredFile) -> None:
        await self._blobs.delete([file.key])

    async def expire(self) -> int:
        """Remove what is too old; how many."""
        keys = await self._blobs.older_than(_PREFIX, self.seconds)
        await self._blobs.delete(keys)
        return len(keys)


def _expired() -> GoneError:
    return GoneError("The files of this task have expired.", field="id")
