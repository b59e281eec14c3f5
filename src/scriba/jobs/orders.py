"""What doors do to jobs: order, cancel, try again, remove. Every change of state is one statement."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from scriba.domain.errors import ConflictError, NotFoundError
from scriba.domain.job import Edge, Job, JobKind, JobState
from scriba.jobs.outbox import keep_message
from scriba.jobs.reading import JobReader
from scriba.jobs.rows import to_job
from scriba.jobs.statements import answer_of, finished_twin, move, over
from scriba.store.clock import now
from scriba.store.tables import jobs, media, windows


@dataclass(frozen=True, slots=True)
class NewJob:
    """What is asked for. ``options`` and ``request`` are JSON."""

    kind: JobKind
    door: str
    media_id: str
    options: str
    fingerprint: str
    request: str = "{}"
    priority: int = 0
    max_attempts: int = 3
    idempotency_key: str | None = None
    webhook_url: str | None = None
    alone: bool = False
    """Refused while another job of its door on its recording has not ended."""


def key_conflict() -> ConflictError:
    return ConflictError(
        "Idempotency-Key was used for another request; send a new one.", field="Idempotency-Key"
    )


class JobOrders(JobReader):
    """Every statement of a door that changes jobs."""

    async def submit(self, new: NewJob) -> tuple[Job, bool]:
        """Put a job into the table; False with the earlier one when its idempotency key was used before.

        Work that was done before is answered from its result at once.

        Raises:
            NotFoundError: the recording is not there.
            ConflictError: the key was used for something else, or it is not alone and was to be.
        """
        known = await self._same_key(new)
        if known is not None:
            return known, False
        try:
            async with self._database.write() as connection:
                return await self._insert(connection, new), True
        except IntegrityError:
            known = await self._same_key(new)
            if known is None:
                raise
            return known, False

    async def _insert(self, connection: AsyncConnection, new: NewJob) -> Job:
        # Written, not only read: it must not be removed before the job stands beside it.
        touched = await connection.execute(
            update(media).where(media.c.id == new.media_id).values(used_at=now())
        )
        if touched.rowcount != 1:
            raise NotFoundError("There is no recording of that id.", field="media_id")
        # The recording's row is ours until the end of the transaction: nobody else puts a job beside it.
        if new.alone and await self._at_work(connection, new):
            raise ConflictError("Already in queue")
        twin = await finished_twin(connection, new.fingerprint)
        edge = Edge.SUBMIT if twin is None else Edge.ANSWER
        values: dict[str, Any] = {
            "id": str(uuid.uuid4()),
            "kind": new.kind.value,
            "door": new.door,
            "state": edge.target.value,
            "priority": new.priority,
            "media_id": new.media_id,
            "options": new.options,
            "request": new.request,
            "fingerprint": new.fingerprint,
            "idempotency_key": new.idempotency_key,
            "attempt": 0,
            "max_attempts": new.max_attempts,
            "not_before": now(),
            "created_at": now(),
            "updated_at": now(),
            "progress_done": 0.0,
            "webhook_url": new.webhook_url,
        }
        if twin is not None:
            values |= answer_of(twin) | {"started_at": now(), "finished_at": now()}
        row = (await connection.execute(insert(jobs).values(values).returning(jobs))).mappings().one()
        job = to_job(row)
        await keep_message(connection, job)
        return job

    async def _at_work(self, connection: AsyncConnection, new: NewJob) -> bool:
        unfinished = [state.value for state in JobState if not state.finished]
        query = select(jobs.c.id).where(
            jobs.c.media_id == new.media_id, jobs.c.door == new.door, jobs.c.state.in_(unfinished)
        )
        return (await connection.execute(query.limit(1))).first() is not None

    async def with_key(self, key: str | None) -> Job | None:
        """The job that was ordered under this idempotency key."""
        if key is None:
            return None
        async with self._database.read() as connection:
            query = select(jobs).where(jobs.c.idempotency_key == key)
            row = (await connection.execute(query)).mappings().first()
        return None if row is None else to_job(row)

    async def _same_key(self, new: NewJob) -> Job | None:
        job = await self.with_key(new.idempotency_key)
        if job is None:
            return None
        # A priority or a webhook that nobody heeds would be a surprise, too.
        if (job.fingerprint, job.door, job.priority, job.webhook_url) != (
            new.fingerprint,
            new.door,
            new.priority,
            new.webhook_url,
        ):
            raise key_conflict()
        return job

    async def cancel(self, job_id: str) -> Job:
        """
        Raises:
            NotFoundError: there is no such job.
            ConflictError: it has finished.
        """
        async with self._database.write() as connection:
            job = await move(
                connection,
                Edge.CANCEL,
                jobs.c.id == job_id,
                **over(),
                error_code="cancelled",
                error="The job was cancelled.",
            )
            if job is not None:
                await connection.execute(delete(windows).where(windows.c.job_id == job_id))
        if job is None:
            raise ConflictError(f"The job is {(await self.get(job_id)).state} and cannot be cancelled.")
        return job

    async def requeue(self, job_id: str) -> Job:
        """Try a failed or cancelled job again, with all its attempts.

        Raises:
            NotFoundError: there is no such job.
            ConflictError: it is neither failed nor cancelled, or its recording was removed.
        """
        kept = select(media.c.id).where(media.c.id == jobs.c.media_id).exists()
        async with self._database.write() as connection:
            job = await move(
                connection,
                Edge.REQUEUE,
                and_(jobs.c.id == job_id, kept),
                attempt=0,
                not_before=now(),
                finished_at=None,
                error=None,
                error_code=None,
            )
        if job is None:
            present = await self.get(job_id)
            if present.state in Edge.REQUEUE.leaves:
                raise ConflictError("The recording of this job is no longer kept.")
            raise ConflictError(f"The job is {present.state}; only a failed or cancelled one is tried again.")
        return job

    async def remove(self, job_id: str) -> Job:
        """Delete a job, whatever it does: a worker that runs it finds that it holds nothing.

        Raises:
            NotFoundError: there is no such job.
        """
        async with self._database.write() as connection:
            row = (
                (await connection.execute(delete(jobs).where(jobs.c.id == job_id).returning(jobs)))
                .mappings()
                .first()
            )
        if row is None:
            raise NotFoundError("There is no job of that id.", field="id")
        return to_job(row)
