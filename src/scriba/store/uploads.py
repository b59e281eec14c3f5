"""Uploads that come in parts: each part is a blob, so that any machine may take the next.

::

    (new)     --create-->    RECEIVING
    RECEIVING --append-->    RECEIVING   one part at a time
    RECEIVING --append, all there--> COMPLETE, with a recording
    RECEIVING --terminate, expire--> (gone)
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO, cast

from sqlalchemy import and_, delete, insert, or_, select, update

from scriba.domain.errors import ConflictError, GoneError, MediaTooLargeError, NotFoundError
from scriba.store.blobs import Blobs
from scriba.store.clock import now
from scriba.store.database import Database
from scriba.store.disk import room_on_disk
from scriba.store.media import MediaStore
from scriba.store.tables import upload_parts, uploads

_LEASE_SECONDS = 60.0
"""A request that appends and gives no sign for so long is taken to be dead."""


@dataclass(frozen=True, slots=True)
class Upload:
    """``received`` of ``size`` bytes are here; ``media_id`` is the recording, once all of them are."""

    id: str
    size: int
    received: int
    metadata: str
    expires_at: float
    media_id: str | None

    @property
    def complete(self) -> bool:
        return self.media_id is not None


class UploadStore:
    """Creates uploads and puts their parts together.

    Args:
        seconds: how long an upload is kept after its last part.
    """

    def __init__(
        self, database: Database, blobs: Blobs, media: MediaStore, spool: Path, seconds: float
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._media = media
        self._spool = spool
        self._seconds = seconds

    async def create(self, size: int, metadata: str) -> Upload:
        """Begin an upload of so many bytes.

        Raises:
            StorageFullError: there is no room for them.
        """
        await self._media.check_room(size)
        async with self._database.write() as connection:
            row = (
                (
                    await connection.execute(
                        insert(uploads)
                        .values(
                            id=str(uuid.uuid4()),
                            size=size,
                            received=0,
                            upload_metadata=metadata,
                            created_at=now(),
                            expires_at=now() + self._seconds,
                        )
                        .returning(uploads)
                    )
                )
                .mappings()
                .one()
            )
        return _upload(row)

    async def get(self, upload_id: str) -> Upload:
        """
        Raises:
            NotFoundError: there is none of that id.
            GoneError: it was not finished in time.
        """
        async with self._database.read() as connection:
            query = select(uploads, (uploads.c.expires_at < now()).label("late")).where(
                uploads.c.id == upload_id
            )
            row = (await connection.execute(query)).mappings().first()
        if row is None:
            raise NotFoundError("There is no upload of that id.", field="id")
        if row["late"] and row["media_id"] is None:
            raise GoneError("The upload was not finished in time.", field="id")
        return _upload(row)

    async def append(self, upload_id: str, offset: int, body: AsyncIterator[bytes], name: str) -> Upload:
        """Add a part. What has arrived when the body breaks off is kept.

        Raises:
            NotFoundError, GoneError: as ``get``.
            ConflictError: the offset is not where the upload stands, or another request adds to it now.
            MediaTooLargeError: the body goes beyond the upload's size; nothing of it is kept.
            StorageFullError: there is no room.
        """
        owner = str(uuid.uuid4())
        upload = await self._lock(upload_id, offset, owner)
        try:
            with room_on_disk(), TemporaryFile(dir=self._spool) as temporary:
                file = cast(BinaryIO, temporary)
                size = await self._receive(upload, body, file)
                if size:
                    file.seek(0)
                    upload = await self._keep(upload, owner, file, size)
            if upload.received == upload.size and not upload.complete:
                upload = await self._finish(upload, owner, name)
        finally:
            await asyncio.shield(self._unlock(upload_id, owner))
        return upload

    async def terminate(self, upload_id: str) -> None:
        """Remove an upload and its parts; a recording made of it stays.

        Raises:
            NotFoundError, GoneError: as ``get``.
        """
        await self.get(upload_id)
        await self._remove(upload_id)

    async def expire(self) -> int:
        """Remove what was not finished in time; how many."""
        query = select(uploads.c.id).where(uploads.c.expires_at < now()).limit(1000)
        async with self._database.read() as connection:
            late = list((await connection.execute(query)).scalars())
        for upload_id in late:
            await self._remove(upload_id)
        return len(late)

    async def _receive(self, upload: Upload, body: AsyncIterator[bytes], file: BinaryIO) -> int:
        size = 0
        try:
            async for block in body:
                size += len(block)
                if upload.received + size > upload.size:
                    raise MediaTooLargeError(f"The body goes beyond the upload's {upload.size:,} bytes.")
                await asyncio.to_thread(file.write, block)
        except BrokenOffError:
            pass  # what is here is here: the client goes on from there
        return size

    async def _keep(self, upload: Upload, owner: str, file: BinaryIO, size: int) -> Upload:
        key = f"uploads/{upload.id}/{upload.received}.{owner}"
        await self._blobs.put_file(key, file)
        async with self._database.write() as connection:
            row = (
                (
                    await connection.execute(
                        update(uploads)
                        .where(
                            uploads.c.id == upload.id,
                            uploads.c.owner == owner,
                            uploads.c.received == upload.received,
                        )
                        .values(received=upload.received + size, expires_at=now() + self._seconds)
                        .returning(uploads)
                    )
                )
                .mappings()
                .first()
            )
            if row is not None:
                await connection.execute(
                    insert(upload_parts).values(
                        upload_id=upload.id, start=upload.received, size=size, blob_key=key
                    )
                )
        if row is None:
            await self._blobs.delete([key])
            raise ConflictError("The upload was removed, or taken over by another request.")
        return _upload(row)

    async def _finish(self, upload: Upload, owner: str, name: str) -> Upload:
        """Put the parts together as a recording."""
        parts = await self._parts(upload.id)
        with room_on_disk(), TemporaryFile(dir=self._spool) as temporary:
            file = cast(BinaryIO, temporary)
            for key in parts:
                async for block in self._blobs.stream(key):
                    await asyncio.to_thread(file.write, block)
            media, _ = await self._media.add(file, name)
        async with self._database.write() as connection:
            row = (
                (
                    await connection.execute(
                        update(uploads)
                        .where(uploads.c.id == upload.id, uploads.c.owner == owner)
                        .values(media_id=media.id)
                        .returning(uploads)
                    )
                )
                .mappings()
                .first()
            )
            if row is not None:
                await connection.execute(delete(upload_parts).where(upload_parts.c.upload_id == upload.id))
        if row is None:
            raise ConflictError("The upload was removed, or taken over by another request.")
        await self._blobs.delete(parts)
        return _upload(row)

    async def _parts(self, upload_id: str) -> list[str]:
        query = (
            select(upload_parts.c.blob_key)
            .where(upload_parts.c.upload_id == upload_id)
            .order_by(upload_parts.c.start)
        )
        async with self._database.read() as connection:
            return list((await connection.execute(query)).scalars())

    async def _lock(self, upload_id: str, offset: int, owner: str) -> Upload:
        upload = await self.get(upload_id)
        free = or_(uploads.c.owner.is_(None), uploads.c.lease_until < now())
        async with self._database.write() as connection:
            row = (
                (
                    await connection.execute(
                        update(uploads)
                        .where(and_(uploads.c.id == upload_id, uploads.c.received == offset, free))
                        .values(owner=owner, lease_until=now() + _LEASE_SECONDS)
                        .returning(uploads)
                    )
                )
                .mappings()
                .first()
            )
        if row is None:
            if upload.received != offset:
                raise ConflictError(
                    f"The upload stands at {upload.received}, not at {offset}.", field="Upload-Offset"
                )
            raise ConflictError("Another request adds to this upload now.")
        return _upload(row)

    async def _unlock(self, upload_id: str, owner: str) -> None:
        async with self._database.write() as connection:
            await connection.execute(
                update(uploads)
                .where(uploads.c.id == upload_id, uploads.c.owner == owner)
                .values(owner=None, lease_until=None)
            )

    async def _remove(self, upload_id: str) -> None:
        parts = await self._parts(upload_id)
        async with self._database.write() as connection:
            await connection.execute(delete(uploads).where(uploads.c.id == upload_id))
        await self._blobs.delete(parts)


class BrokenOffError(Exception):
    """The client went away in the middle of its body."""


def _upload(row: Mapping[Any, Any]) -> Upload:
    return Upload(
        id=row["id"],
        size=int(row["size"]),
        received=int(row["received"]),
        metadata=row["upload_metadata"],
        expires_at=row["expires_at"],
        media_id=row["media_id"],
    )
