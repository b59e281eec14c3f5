"""What jobs brought forth: a document each, as a blob; jobs that asked for the same share one."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass

from sqlalchemy import and_, delete, exists, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from scriba.domain.errors import GoneError
from scriba.store.blobs import Blobs
from scriba.store.clock import now
from scriba.store.database import Database
from scriba.store.tables import jobs, results


@dataclass(frozen=True, slots=True)
class StoredResult:
    """A document that is in the blobs, and in no table yet."""

    id: str
    fingerprint: str
    kind: str
    blob_key: str
    sha256: str
    size: int


class ResultStore:
    """Writes, reads and removes results."""

    def __init__(self, database: Database, blobs: Blobs) -> None:
        self._database = database
        self._blobs = blobs

    async def put(self, fingerprint: str, kind: str, document: bytes) -> StoredResult:
        """Write the document. It counts once ``record`` has put it into the table, together with its job.

        Raises:
            StorageFullError: there is no room.
        """
        result_id = str(uuid.uuid4())
        sha256 = hashlib.sha256(document).hexdigest()
        key = f"results/{sha256[:2]}/{sha256}.{result_id}"
        await self._blobs.put_bytes(key, document)
        return StoredResult(result_id, fingerprint, kind, key, sha256, len(document))

    async def record(self, connection: AsyncConnection, result: StoredResult) -> None:
        """The table's row, in the transaction that completes the job."""
        await connection.execute(
            insert(results).values(
                id=result.id,
                fingerprint=result.fingerprint,
                kind=result.kind,
                blob_key=result.blob_key,
                sha256=result.sha256,
                size=result.size,
                created_at=now(),
            )
        )

    async def drop(self, result: StoredResult) -> None:
        """Remove a document that was written for nothing.

        Whether it was is asked of the table: an answer that got lost may have been a success.
        """
        async with self._database.read() as connection:
            query = select(results.c.id).where(results.c.id == result.id)
            counts = (await connection.execute(query)).first() is not None
        if not counts:
            await self._blobs.delete([result.blob_key])

    async def get(self, result_id: str | None) -> bytes:
        """
        Raises:
            GoneError: the result was removed.
            MediaLostError: the table knows it, and the store has lost it.
        """
        async with self._database.read() as connection:
            key = (
                await connection.execute(select(results.c.blob_key).where(results.c.id == result_id))
            ).scalar()
        if key is None:
            raise GoneError("The result of this job is no longer kept.", field="id")
        return await self._blobs.get_bytes(key)

    async def expire(self, seconds: float) -> int:
        """Remove results that are older than this; how many. Their jobs stay, without a result."""
        return await self._remove(results.c.created_at < now() - seconds)

    async def remove_if_unreferenced(self, result_id: str | None) -> None:
        """Remove a result if no job has it any more."""
        if result_id is not None:
            await self._remove(
                and_(results.c.id == result_id, ~exists().where(jobs.c.result_id == results.c.id))
            )

    async def remove_unreferenced(self) -> int:
        """Remove results whose jobs were all deleted."""
        return await self._remove(~exists().where(jobs.c.result_id == results.c.id))

    async def _remove(self, which: object) -> int:
        async with self._database.write() as connection:
            gone = (
                await connection.execute(delete(results).where(which).returning(results.c.blob_key))  # type: ignore[arg-type]
            ).scalars()
            keys = list(gone)
        await self._blobs.delete(keys)
        return len(keys)
