"""What doors may do with jobs."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, replace
from typing import Any, BinaryIO

import structlog

from scriba.domain.errors import (
    ConflictError,
    GoneError,
    InvalidOptionError,
    MediaLostError,
    NotFoundError,
    StorageUnavailableError,
)
from scriba.domain.job import (
    DEFAULT_PRIORITY,
    HIGHEST_PRIORITY,
    LOWEST_PRIORITY,
    Job,
    JobKind,
    JobState,
)
from scriba.domain.media import Media
from scriba.domain.options import SeparationOptions, TranscribeOptions, VadOptions
from scriba.domain.transcript import Segment, Transcript
from scriba.jobs.checkpoint import is_finished, segments_of
from scriba.jobs.codec import dumps, options_to_json, transcript_from_json
from scriba.jobs.orders import key_conflict
from scriba.jobs.port import Delivery, Queue
from scriba.jobs.table import JobTable, NewJob
from scriba.jobs.webhooks import WebhookMessage, Webhooks
from scriba.store.files import FileStore, StoredFile
from scriba.store.media import MediaStore
from scriba.store.results import ResultStore
from scriba.store.uploads import BrokenOffError, Upload, UploadStore

_LONGEST_KEY = 255
_KINDS = {
    TranscribeOptions: JobKind.TRANSCRIPTION,
    VadOptions: JobKind.VAD,
    SeparationOptions: JobKind.SEPARATION,
}
log = structlog.get_logger(__name__)

__all__ = ["BrokenOffError", "JobService", "Order", "Upload", "UploadStore"]


@dataclass(frozen=True, slots=True)
class Order:
    """What a client asks for.

    ``request`` is a JSON object that its door wants to tell again; ``alone`` has the order refused while
    another job of the door on the same recording has not ended.
    """

    door: str
    media_id: str
    work: TranscribeOptions | VadOptions | SeparationOptions
    request: str = "{}"
    priority: int = DEFAULT_PRIORITY
    idempotency_key: str | None = None
    webhook_url: str | None = None
    alone: bool = False

    def __post_init__(self) -> None:
        if not LOWEST_PRIORITY <= self.priority <= HIGHEST_PRIORITY:
            raise InvalidOptionError(
                f"priority must be between {LOWEST_PRIORITY} and {HIGHEST_PRIORITY}, not {self.priority}.",
                field="priority",
            )
        key = self.idempotency_key
        if key is not None and not (1 <= len(key) <= _LONGEST_KEY and key.isprintable()):
            raise InvalidOptionError(
                f"Idempotency-Key must be 1 to {_LONGEST_KEY} printable characters.", field="Idempotency-Key"
            )


class JobService:
    """Submits, shows, cancels and removes jobs, and gives their results.

    Args:
        default_model: which model an order means that names none: a change of it is other work.
        default_separation: the same for parting voice from music.
        files: what jobs made beside their results.
    """

    def __init__(
        self,
        table: JobTable,
        media: MediaStore,
        results: ResultStore,
        queue: Queue,
        webhooks: Webhooks,
        *,
        default_model: str,
        default_separation: str = "",
        max_attempts: int = 3,
        files: FileStore | None = None,
    ) -> None:
        self._files = files
        self._default_separation = default_separation
        self._table = table
        self.media = media
        self._results = results
        self._queue = queue
        self._webhooks = webhooks
        self._default_model = default_model
        self._max_attempts = max_attempts

    async def keep(self, file: BinaryIO, name: str) -> tuple[Media, bool]:
        """Store a recording; False with it when the same bytes were stored before.

        Raises:
            EmptyMediaError: it holds no bytes.
            StorageFullError: there is no room.
        """
        return await self.media.add(file, name)

    async def submit(self, order: Order) -> tuple[Job, bool]:
        """Order work; False with the earlier job when the idempotency key was used before.

        Raises:
            NotFoundError: the recording is not there.
            ConflictError: the key was used for something else, or the job is not alone and was to be.
            UnsupportedOptionError, AddressRefusedError: the webhook cannot be told.
        """
        if order.webhook_url is not None:
            if not self._webhooks.enabled:
                raise InvalidOptionError(
                    "webhook_url is not taken: this server has no SCRIBA_WEBHOOK_SECRET to sign with.",
                    field="webhook_url",
                )
            await self._webhooks.check(order.webhook_url)
        recording = await self.media.find(order.media_id)
        if recording is None:
            raise NotFoundError("There is no recording of that id.", field="media_id")
        kind = _KINDS[type(order.work)]
        options = self._options(order.work)
        job, fresh = await self._table.submit(
            NewJob(
                kind=kind,
                door=order.door,
                media_id=recording.id,
                options=options,
                fingerprint=self._fingerprint(kind, recording.sha256, options),
                request=order.request,
                priority=order.priority,
                max_attempts=self._max_attempts,
                idempotency_key=order.idempotency_key,
                webhook_url=order.webhook_url,
                alone=order.alone,
            )
        )
        if fresh and job.state.finished:
            self._webhooks.news.set()
        elif fresh:
            await self._offer(job)
        return job, fresh

    async def ordered_before(self, order: Order) -> Job | None:
        """The job of the same order under its key, known before its recording is; None: there is none.

        Raises:
            ConflictError: the key was used for something else.
        """
        job = await self._table.with_key(order.idempotency_key)
        if job is None:
            return None
        if (job.door, job.kind, job.options, job.request, job.priority, job.webhook_url) != (
            order.door,
            _KINDS[type(order.work)],
            self._options(order.work),
            order.request,
            order.priority,
            order.webhook_url,
        ):
            raise key_conflict()
        return job

    async def get(self, job_id: str, door: str | None = None) -> Job:
        """
        Raises:
            NotFoundError: there is no such job (of this door).
        """
        job = await self._table.get(job_id)
        if door is not None and job.door != door:
            return await self._table.get("")  # as if it were not there
        return job

    async def page(
        self, *, limit: int, after: str | None = None, door: str | None = None, state: JobState | None = None
    ) -> list[Job]:
        """Newest first."""
        return await self._table.page(limit=limit, after=after, door=door, state=state)

    async def latest_for_media(self, media_ids: list[str], door: str) -> dict[str, Job]:
        """The newest job of each recording through this door, of those that completed if any did."""
        return await self._table.latest_for_media(media_ids, door)

    async def position(self, job: Job) -> int | None:
        """How many queued jobs go before it; None when it is not queued."""
        return await self._table.position(job)

    async def cancel(self, job_id: str) -> Job:
        """End a job that has not ended; its work stops within a second.

        Raises:
            NotFoundError: there is no such job.
            ConflictError: it has ended.
        """
        job = await self._table.cancel(job_id)
        self._webhooks.news.set()
        return job

    async def requeue(self, job_id: str) -> Job:
        """Try a failed or cancelled job again.

        Raises:
            NotFoundError: there is no such job.
            ConflictError: it is neither, or its recording is gone.
        """
        job = await self._table.requeue(job_id)
        await self._offer(job)
        return job

    async def remove(self, job_id: str) -> Job:
        """Delete a job, running or not.

        Raises:
            NotFoundError: there is no such job.
        """
        job = await self._table.remove(job_id)
        if self._files is not None:
            with contextlib.suppress(GoneError, MediaLostError):
                if (stored := await self._file_of(job)) is not None:
                    await self._files.drop(stored)
        await self._results.remove_if_unreferenced(job.result_id)
        return job

    async def transcript(self, job: Job) -> Transcript:
        """
        Raises:
            ConflictError: the job has not completed, or makes no transcript.
            GoneError: its result is no longer kept.
        """
        if job.kind is not JobKind.TRANSCRIPTION:
            raise ConflictError(f"A job of the kind {job.kind} makes no transcript.")
        return transcript_from_json(await self._document(job))

    async def regions(self, job: Job) -> list[tuple[int, int]]:
        """Speech by voice activity, in samples at 16 kHz.

        Raises:
            ConflictError: the job has not completed, or is of another kind.
            GoneError: its result is no longer kept.
        """
        if job.kind is not JobKind.VAD:
            raise ConflictError(f"A job of the kind {job.kind} finds no speech regions.")
        return [(int(start), int(end)) for start, end in (await self._document(job))["regions"]]

    async def separated(self, job: Job) -> tuple[str, str]:
        """SHA-256 of the voice and of the music that a separation made.

        Raises:
            ConflictError: the job has not completed, or is of another kind.
            GoneError: its result is no longer kept.
        """
        if job.kind is not JobKind.SEPARATION:
            raise ConflictError(f"A job of the kind {job.kind} separates nothing.")
        body = await self._document(job)
        return str(body["vocal_hash"]), str(body["instrumental_hash"])

    async def file(self, job: Job) -> tuple[StoredFile, AsyncIterator[bytes]]:
        """The file that the job made, and its bytes.

        Raises:
            ConflictError: the job has not ended.
            NotFoundError: it made none.
            GoneError: the file's time is over.
        """
        if not job.state.finished:
            raise ConflictError(f"The job is {job.state}; it has not ended yet.")
        if job.state is not JobState.COMPLETED:
            raise NotFoundError(f"There are no files: the job is {job.state}.", field="id")
        stored = await self._file_of(job)
        if stored is None and job.kind is JobKind.SEPARATION:
            raise GoneError("The files of this job were not taken over from the server that made them.")
        if stored is None or self._files is None or job.finished_at is None:
            raise NotFoundError("This task has no files: its result is in the task itself.", field="id")
        return stored, await self._files.stream(stored, job.finished_at)

    async def _file_of(self, job: Job) -> StoredFile | None:
        if job.state is not JobState.COMPLETED or job.kind is JobKind.VAD:
            return None
        body = (await self._document(job)).get("file")
        return None if body is None else StoredFile(**body)

    async def segments_after(self, job: Job, window: int) -> tuple[int, list[Segment]]:
        """Segments of finished windows behind ``window``, while the job runs, and the last one's number."""
        windows = await self._table.windows_after(job.id, window)
        found = [(number, document) for number, document in windows if is_finished(document)]
        last = found[-1][0] if found else window
        return last, [segment for _, document in found for segment in segments_of(document)]

    async def webhook_messages(self, job_id: str) -> list[WebhookMessage]:
        return await self._webhooks.messages(job_id)

    async def resend(self, message_id: str) -> WebhookMessage:
        return await self._webhooks.resend(message_id)

    async def counts(self) -> dict[str, int]:
        """How many jobs there are in each state."""
        return await self._table.counts()

    async def _document(self, job: Job) -> dict[str, Any]:
        if job.state is not JobState.COMPLETED:
            raise ConflictError(f"The job is {job.state}; it has no result.")
        body: dict[str, Any] = json.loads(await self._results.get(job.result_id))
        return body

    async def _offer(self, job: Job) -> None:
        try:
            await self._queue.offer([Delivery.of(job)])
        except StorageUnavailableError as error:
            # The job is in the table, and the keeper offers what nobody was told of.
            log.warning("job not announced", job=job.id, why=error.message)

    def _options(self, work: TranscribeOptions | VadOptions | SeparationOptions) -> str:
        if isinstance(work, VadOptions):
            return dumps(asdict(work))
        if isinstance(work, SeparationOptions):
            return dumps(asdict(self._named(work)))
        separation = None if work.separation is None else self._named(work.separation)
        model = work.model or self._default_model
        return dumps(options_to_json(replace(work, model=model, separation=separation)))

    def _named(self, separation: SeparationOptions) -> SeparationOptions:
        return replace(separation, model=separation.model or self._default_separation or None)

    def _fingerprint(self, kind: JobKind, sha256: str, options: str) -> str:
        return hashlib.sha256(f"1\n{kind.value}\n{sha256}\n{options}".encode()).hexdigest()
