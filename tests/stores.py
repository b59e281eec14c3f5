"""Databases and blobs for tests."""

from __future__ import annotations

import io
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from scriba.domain.job import JobKind
from scriba.domain.media import Media
from scriba.jobs.table import JobTable, NewJob
from scriba.store.blobs import Blobs
from scriba.store.database import Database
from scriba.store.media import MediaStore
from scriba.store.migrate import migrate
from scriba.store.results import ResultStore


@dataclass
class Stores:
    """Everything that is stored, in one place."""

    database: Database
    blobs: Blobs
    media: MediaStore
    results: ResultStore
    jobs: JobTable

    async def recording(self, data: bytes | None = None, name: str = "speech.wav") -> Media:
        """A stored recording; without ``data`` one that nobody else has."""
        made, _ = await self.media.add(io.BytesIO(uuid.uuid4().bytes if data is None else data), name)
        return made

    async def new_job(self, **changes: object) -> NewJob:
        """An order for a job, on a recording of its own unless ``media_id`` says otherwise."""
        values: dict[str, object] = {
            "kind": JobKind.TRANSCRIPTION,
            "door": "jobs",
            "options": "{}",
            "fingerprint": uuid.uuid4().hex,
            **changes,
        }
        if "media_id" not in values:
            values["media_id"] = (await self.recording()).id
        return NewJob(**values)  # type: ignore[arg-type]


@asynccontextmanager
async def open_stores(
    url: str, folder: Path, *, quota: int | None = None, blobs: Blobs | None = None
) -> AsyncIterator[Stores]:
    """Stores on this database, brought to the newest revision."""
    database = Database(url)
    await migrate(database)
    kept = blobs or Blobs.open(folder / "blobs")
    spool = folder / "spool"
    spool.mkdir(parents=True, exist_ok=True)
    try:
        yield Stores(
            database,
            kept,
            MediaStore(database, kept, spool, quota),
            ResultStore(database, kept),
            JobTable(database),
        )
    finally:
        await database.close()
