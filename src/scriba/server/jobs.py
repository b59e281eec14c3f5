"""Jobs of one process, put together from the settings."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from scriba.domain.errors import ScribaError
from scriba.domain.job import Job
from scriba.jobs.keeper import Keeper
from scriba.jobs.port import Queue
from scriba.jobs.queue_embedded import EmbeddedQueue
from scriba.jobs.runner import Runner, VoiceFinder
from scriba.jobs.separating import VoiceSeparator
from scriba.jobs.service import JobService
from scriba.jobs.table import JobTable
from scriba.jobs.webhooks import Webhooks
from scriba.jobs.worker import Worker
from scriba.server.setting_sources import SettingsError
from scriba.server.settings import Settings
from scriba.store.blobs import Blobs
from scriba.store.database import Database
from scriba.store.files import FileStore
from scriba.store.media import MediaStore
from scriba.store.migrate import migrate
from scriba.store.results import ResultStore
from scriba.store.uploads import UploadStore
from scriba.transcribe.batch import ResumableTranscriber

_DAY = 86_400.0
_TIDY_SECONDS = 600.0
_FROZEN_SECONDS = 2.0
"""How often sessions are looked for whose process stands still."""


@dataclass(slots=True)
class JobParts:
    """``worker`` is None where this process only takes orders. Belongs to one event loop once opened."""

    settings: Settings
    database: Database
    blobs: Blobs
    results: ResultStore
    queue: Queue
    service: JobService
    uploads: UploadStore
    webhooks: Webhooks
    keeper: Keeper
    worker: Worker | None

    async def open(self) -> None:
        """Bring the database to this version, and make the queue ready.

        Raises:
            StorageUnavailableError: the database does not answer.
            ConflictError: it is of a newer version.
        """
        await migrate(self.database)
        await self.queue.open()

    async def run(self, stop: asyncio.Event, grace: float = 0.0) -> None:
        """Do what this process does about jobs, until ``stop``."""
        work = [self.webhooks.run(stop)]
        # Who only takes orders sees to lost leases too: the last worker may be what died.
        work.append(self.keeper.run(stop) if self.worker is None else self.worker.run(stop, grace))
        await asyncio.gather(*work)

    async def close(self) -> None:
        await self.queue.close()
        await self.database.close()


def build_jobs(
    settings: Settings,
    transcriber: ResumableTranscriber | None = None,
    voice: VoiceFinder | None = None,
    separator: VoiceSeparator | None = None,
) -> JobParts:
    """The parts, none of them opened. Without a transcriber there is no worker.

    Raises:
        SettingsError: the database or the store is named wrongly.
    """
    settings.spool_dir.mkdir(parents=True, exist_ok=True)
    try:
        database = Database(settings.database_url)
        blobs = Blobs.open(settings.store.blobs or settings.data_dir / "blobs", settings.store.s3_options())
    except ScribaError as error:
        raise SettingsError(error.message) from None
    quota = settings.store.quota_mb * 1_000_000 or None
    media = MediaStore(database, blobs, settings.spool_dir, quota)
    results = ResultStore(database, blobs)
    files = FileStore(blobs, settings.separation.file_seconds)
    uploads = UploadStore(database, blobs, media, settings.spool_dir, settings.upload_hours * 3600)
    table = JobTable(database)
    lease = settings.jobs.lease_seconds
    queue = _queue(database, table, lease)
    secret = settings.webhook_secret
    webhooks = Webhooks(
        database, None if secret is None else secret.get_secret_value(), frozenset(settings.private_hosts)
    )

    async def finished(_: Job) -> None:
        webhooks.news.set()

    async def sweep() -> None:
        await media.sweep()

    async def tidy() -> None:
        if settings.store.media_days:
            await media.expire(settings.store.media_days * _DAY)
        if settings.store.result_days:
            await results.expire(settings.store.result_days * _DAY)
        await results.remove_unreferenced()
        await uploads.expire()

    async def expire_files() -> None:
        await files.expire()

    often = min(_TIDY_SECONDS, max(1.0, files.seconds / 4))
    chores = [
        (_TIDY_SECONDS, tidy),
        (_DAY, sweep),
        (often, expire_files),
        (_FROZEN_SECONDS, database.end_frozen),
    ]
    keeper = Keeper(table, queue, finished=finished, chores=chores)
    worker: Worker | None = None
    if transcriber is not None and voice is not None:
        worker = Worker(
            table,
            results,
            queue,
            Runner(media, transcriber, voice, separator, files),
            keeper,
            slots=settings.jobs.slots,
            lease=lease,
            finished=finished,
        )
    service = JobService(
        table,
        media,
        results,
        queue,
        webhooks,
        default_model=settings.model,
        default_separation=settings.separation.model,
        files=files,
        max_attempts=settings.jobs.max_attempts,
    )
    return JobParts(settings, database, blobs, results, queue, service, uploads, webhooks, keeper, worker)


def prepare(settings: Settings) -> None:
    """See that the database is there and of this version, before anything is started.

    Raises:
        SettingsError: it is not; one line says why.
    """

    async def check() -> None:
        parts = build_jobs(settings)
        try:
            await parts.open()
        finally:
            await parts.close()

    try:
        asyncio.run(check())
    except ScribaError as error:
        raise SettingsError(f"DB_URL: {error.message}") from None


def _queue(database: Database, table: JobTable, lease: float) -> Queue:
    if database.is_sqlite:
        return EmbeddedQueue(table)
    # Only here, since one machine needs none of it.
    from scriba.jobs.queue_pgqueuer import PgQueuerQueue

    return PgQueuerQueue(database.url, lease)
