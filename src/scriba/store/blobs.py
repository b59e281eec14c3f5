"""Bytes by key, in a local folder or in a bucket that speaks S3. No blob is held in memory as a whole."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO, TypeVar
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import LocalStore, S3Store

from scriba.domain.errors import InvalidOptionError, MediaLostError, StorageFullError, StorageUnavailableError

T = TypeVar("T")

_CHUNK = 1 << 20
_THREADS = 16
_PART = 8 << 20
"""Bytes of one part of an upload to a bucket; S3 wants at least 5 MiB."""
_FULL = ("No space left on device", "Disk quota exceeded", "os error 28", "os error 122", "XMinioStorageFull")
_RETRIES = {
    "max_retries": 4,
    "backoff": {
        "base": 2,
        "init_backoff": timedelta(milliseconds=100),
        "max_backoff": timedelta(seconds=3),
    },
    "retry_timeout": timedelta(seconds=30),
}


class Blobs:
    """A store of bytes.

    Writing a key is atomic (it is there as a whole, or not at all) and durable (after a power cut too).
    """

    def __init__(self, store: LocalStore | S3Store, folder: Path | None) -> None:
        self._store = store
        self._folder = folder
        # Its own: a slow bucket must not take the threads that everybody else needs.
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="scriba-blobs")

    @classmethod
    def open(cls, location: str | Path, options: Mapping[str, str] | None = None) -> Blobs:
        """A folder (made when missing) or ``s3://bucket/prefix``.

        Args:
            options: of the bucket, by obstore's names (``endpoint``, ``region``, ``access_key_id``, …); what
                is not named comes from the usual ``AWS_*`` variables.

        Raises:
            InvalidOptionError: the location is neither.
        """
        text = str(location)
        if "://" not in text:
            folder = Path(text).expanduser().absolute()
            folder.mkdir(parents=True, exist_ok=True)
            return cls(LocalStore(folder), folder)
        url = urlsplit(text)
        if url.scheme != "s3" or not url.netloc:
            raise InvalidOptionError(
                "SCRIBA_STORE__BLOBS must be a folder or s3://bucket/prefix.", field="SCRIBA_STORE__BLOBS"
            )
        settings = dict(options or {})
        plain = settings.get("endpoint", "").startswith("http://")
        return cls(
            S3Store(
                url.netloc,
                prefix=url.path.strip("/") or None,
                config=settings,  # type: ignore[arg-type]
                client_options={"allow_http": True} if plain else None,
                retry_config=_RETRIES,  # type: ignore[arg-type]
            ),
            None,
        )

    async def put_file(self, key: str, file: BinaryIO) -> None:
        """Store everything from the file's position on.

        Raises:
            StorageFullError: there is no room.
            StorageUnavailableError: the store does not answer.
        """
        await self._run(lambda: self._put(key, file))

    async def put_bytes(self, key: str, data: bytes) -> None:
        """As ``put_file``, for what is small."""
        await self._run(lambda: self._put(key, data))

    async def get_bytes(self, key: str) -> bytes:
        """All of a small blob.

        Raises:
            MediaLostError: there is none.
            StorageUnavailableError: the store does not answer.
        """
        with _telling():
            answer = await obstore.get_async(self._store, key)
            return bytes(await answer.bytes_async())

    async def stream(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from ``start`` to before ``end``, in blocks.

        Raises:
            MediaLostError: there is no such blob.
        """
        with _telling():
            options: dict[str, object] | None = None
            if end is not None:
                options = {"range": (start, end)}
            elif start:
                options = {"range": {"offset": start}}
            answer = await obstore.get_async(self._store, key, options=options)  # type: ignore[arg-type]
            async for block in answer.stream(min_chunk_size=_CHUNK):
                yield bytes(block)

    def path(self, key: str) -> Path | None:
        """The file itself, where the store is a folder."""
        return None if self._folder is None else self._folder / key

    async def exists(self, key: str) -> bool:
        try:
            with _telling():
                await obstore.head_async(self._store, key)
        except MediaLostError:
            return False
        return True

    async def delete(self, keys: Sequence[str]) -> None:
        """Remove them; one that is not there is none the less gone."""
        for key in keys:
            with contextlib.suppress(MediaLostError), _telling():
                await obstore.delete_async(self._store, key)

    def _put(self, key: str, content: BinaryIO | bytes) -> None:
        obstore.put(self._store, key, content, chunk_size=_PART, max_concurrency=2)
        if self._folder is not None:
            # A rename outlives a crash of the process, not a power cut.
            _flush(self._folder, self._folder / key)

    async def _run(self, work: Callable[[], T]) -> T:
        """On a thread: the store reads Python's file objects there, and the event loop goes on."""
        with _telling():
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def older_than(self, prefix: str, seconds: float) -> list[str]:
        """Keys under ``prefix`` that were last written so long ago."""
        limit = datetime.now(UTC) - timedelta(seconds=seconds)

        def look() -> list[str]:
            return [
                str(item["path"])
                for page in obstore.list(self._store, prefix)
                for item in page
                if item["last_modified"] < limit
            ]

        return await self._run(look)


def _flush(top: Path, path: Path) -> None:
    """Have the disk hold a file, and the folders that lead to it."""
    while True:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if path == top:
            return
        path = path.parent


@contextlib.contextmanager
def _telling() -> Iterator[None]:
    """What the store raises, as one of ours."""
    try:
        yield
    except (NotFoundError, FileNotFoundError) as error:
        raise MediaLostError("The recording or result is no longer in the store.") from error
    except (BaseError, OSError) as error:
        if any(sign in str(error) for sign in _FULL):
            raise StorageFullError("There is no room left in the store.") from error
        raise StorageUnavailableError("The store of recordings does not answer.") from error
