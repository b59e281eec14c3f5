"""Recordings, by content: the same bytes are kept once."""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO, cast

from sqlalchemy import ColumnElement, and_, delete, exists, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from scriba.domain.errors import ConflictError, EmptyMediaError, NotFoundError, StorageFullError
from scriba.domain.job import JobState
from scriba.domain.media import Media
from scriba.store.blobs import Blobs
from scriba.store.clock import now
from scriba.store.database import Database
from scriba.store.tables import jobs, media, results, upload_parts

_READ = 1 << 20
_LONGEST_NAME = 255
_BATCH = 500
_QUOTA_LOCK = 0x5C81BC
"""PostgreSQL's advisory lock under which room is counted and taken."""
UNFINISHED = (JobState.QUEUED, JobState.RUNNING)


class MediaStore:
    """Adds, finds and removes recordings.

    Args:
        quota_bytes: what recordings and results may take together; None for no bound but the disk's.
        spool: where a recording is kept, unnamed, while it is worked on, when the blobs are elsewhere.
    """

    def __init__(self, database: Database, blobs: Blobs, spool: Path, quota_bytes: int | None = None) -> None:
        self._database = database
        self._blobs = blobs
        self.spool = spool
        self._quota = quota_bytes

    async def add(self, file: BinaryIO, name: str) -> tuple[Media, bool]:
        """Keep a recording; False with it when the same bytes were there already.

        Raises:
            EmptyMediaError: it holds no bytes.
            StorageFullError: the quota or the disk is used up.
        """
        sha256, size = await asyncio.to_thread(_measure, file)
        if size == 0:
            raise EmptyMediaError("file is empty: it holds no bytes.", field="file")
        known = await self._touch(sha256)
        if known is not None:
            return known, False
        await self.check_room(size)
        media_id = str(uuid.uuid4())
        # Every row has a blob of its own, so that removing one can never take the bytes of another.
        key = f"media/{sha256[:2]}/{sha256}.{media_id}"
        file.seek(0)
        await self._blobs.put_file(key, file)
        try:
            async with self._database.write() as connection:
                # Again, now that nobody else can take the room.
                await self._take_room(connection, size)
                await connection.execute(
                    insert(media).values(
                        id=media_id,
                        sha256=sha256,
                        size=size,
                        name=clean_name(name),
                        blob_key=key,
                        created_at=now(),
                        used_at=now(),
                    )
                )
        except IntegrityError:  # somebody else stored the same at the same time
            await self._blobs.delete([key])
            known = await self._touch(sha256)
            if known is None:
                raise ConflictError("The same recording is being removed; send it again.") from None
            return known, False
        except BaseException:
            await self._blobs.delete([key])
            raise
        return await self.get(media_id), True

    async def get(self, media_id: str) -> Media:
        """
        Raises:
            NotFoundError: there is none of that id.
        """
        found = await self.find(media_id)
        if found is None:
            raise NotFoundError("There is no recording of that id.", field="id")
        return found

    async def find(self, media_id: str) -> Media | None:
        async with self._database.read() as connection:
            row = (await connection.execute(select(media).where(media.c.id == media_id))).mappings().first()
        return None if row is None else to_media(row)

    async def list_in_library(self, media_id: str, name: str) -> bool:
        """Show it in the library under this name from now on; False when it is there already."""
        async with self._database.write() as connection:
            done = await connection.execute(
                update(media)
                .where(media.c.id == media_id, media.c.listed_at.is_(None))
                .values(listed_at=now(), name=clean_name(name))
            )
        return done.rowcount == 1

    async def library(self) -> list[Media]:
        """Everything in the library, oldest first."""
        query = select(media).where(media.c.listed_at.is_not(None)).order_by(media.c.listed_at, media.c.id)
        async with self._database.read() as connection:
            return [to_media(row) for row in (await connection.execute(query)).mappings()]

    async def remove(self, media_id: str) -> None:
        """
        Raises:
            NotFoundError: there is none of that id.
            ConflictError: a job still needs it.
        """
        if not await self._remove(media.c.id == media_id):
            await self.get(media_id)
            raise ConflictError("A job still needs this recording; cancel it first.", field="id")

    async def expire(self, seconds: float) -> int:
        """Remove what no job needs, nobody has listed and nobody has used for so long; how many."""
        unused = and_(media.c.listed_at.is_(None), media.c.used_at < now() - seconds)
        removed = 0
        while True:
            async with self._database.read() as connection:
                found = (
                    await connection.execute(select(media.c.id).where(unused, _unneeded()).limit(100))
                ).scalars()
                ids = list(found)
            gone = [one for one in ids if await self._remove(and_(media.c.id == one, unused))]
            removed += len(gone)
            if not gone:
                return removed

    async def sweep(self, seconds: float = 86_400) -> int:
        """Remove blobs that no row knows: what a crash left behind, long enough ago to be sure."""
        removed = 0
        columns = (media.c.blob_key, results.c.blob_key, upload_parts.c.blob_key)
        for prefix, column in zip(("media", "results", "uploads"), columns, strict=True):
            keys = await self._blobs.older_than(prefix, seconds)
            for first in range(0, len(keys), _BATCH):
                some = keys[first : first + _BATCH]
                async with self._database.read() as connection:
                    query = select(column).where(column.in_(some))
                    known = set((await connection.execute(query)).scalars())
                lost = [key for key in some if key not in known]
                await self._blobs.delete(lost)
                removed += len(lost)
        return removed

    @asynccontextmanager
    async def open(self, recording: Media) -> AsyncIterator[Path | BinaryIO]:
        """A file to decode: the stored one, or a copy that has no name and goes with the context.

        Raises:
            MediaLostError: its bytes are not in the store.
        """
        path = self._blobs.path(recording.blob_key)
        if path is not None and path.is_file():
            yield path
            return
        with TemporaryFile(dir=self.spool) as file:
            async for block in self._blobs.stream(recording.blob_key):
                await asyncio.to_thread(file.write, block)
            file.seek(0)
            yield cast(BinaryIO, file)

    def stream(self, recording: Media, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Its bytes from ``start`` to before ``end``."""
        return self._blobs.stream(recording.blob_key, start, end)

    async def _remove(self, which: ColumnElement[bool]) -> bool:
        async with self._database.write() as connection:
            # Locked first, so that the condition is judged after a submission that holds the row has ended.
            await connection.execute(select(media.c.id).where(which).with_for_update())
            gone = (
                await connection.execute(delete(media).where(which, _unneeded()).returning(media.c.blob_key))
            ).scalar()
        if gone is None:
            return False
        await self._blobs.delete([gone])
        return True

    async def _touch(self, sha256: str) -> Media | None:
        async with self._database.write() as connection:
            row = (
                (
                    await connection.execute(
                        update(media).where(media.c.sha256 == sha256).values(used_at=now()).returning(media)
                    )
                )
                .mappings()
                .first()
            )
        return None if row is None else to_media(row)

    async def check_room(self, size: int) -> None:
        """
        Raises:
            StorageFullError: a recording of so many bytes would go beyond the quota.
        """
        if self._quota is not None:
            async with self._database.read() as connection:
                await self._refuse_beyond_quota(connection, size)

    async def _take_room(self, connection: AsyncConnection, size: int) -> None:
        if self._quota is not None:
            if not self._database.is_sqlite:
                await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _QUOTA_LOCK})
            await self._refuse_beyond_quota(connection, size)

    async def _refuse_beyond_quota(self, connection: AsyncConnection, size: int) -> None:
        used = await _used(connection)
        if self._quota is not None and used + size > self._quota:
            raise StorageFullError(
                f"The store is full: it holds {used:,} bytes of {self._quota:,}, "
                f"and this recording has {size:,}."
            )


async def _used(connection: AsyncConnection) -> int:
    total = 0
    for column in (media.c.size, results.c.size):
        total += (await connection.execute(select(func.coalesce(func.sum(column), 0)))).scalar_one()
    return int(total)


def _unneeded() -> ColumnElement[bool]:
    needed = exists().where(jobs.c.media_id == media.c.id, jobs.c.state.in_([s.value for s in UNFINISHED]))
    return ~needed


def to_media(row: Mapping[Any, Any]) -> Media:
    fields = ("id", "sha256", "size", "name", "blob_key", "created_at", "listed_at")
    return Media(**{field: row[field] for field in fields})


def clean_name(name: str) -> str:
    """The last part of a client's file name, without control characters; ``recording`` where none is left."""
    base = name.replace("\\", "/").rpartition("/")[2]
    kept = "".join(character for character in base if character.isprintable()).strip()
    return kept[:_LONGEST_NAME] if kept.strip(".") else "recording"


def _measure(file: BinaryIO) -> tuple[str, int]:
    file.seek(0)
    digest = hashlib.sha256()
    size = 0
    while block := file.read(_READ):
        digest.update(block)
        size += len(block)
    return digest.hexdigest(), size
