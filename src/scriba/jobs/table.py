"""The jobs table: every change of state is one statement that is true only if the edge is legal.

A worker holds a job by ``owner`` and ``attempt``. Whatever it writes names both, so that a worker that lost
its lease, for whatever reason, changes nothing.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    and_,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from scriba.domain.errors import ConflictError, NotFoundError
from scriba.domain.job import Edge, Job, JobKind, JobProgress, JobState
from scriba.jobs.reading import JobReader
from scriba.jobs.rows import to_job
from scriba.jobs.statements import (
    Hold,
    LostLeaseError,
    answer_of,
    fault,
    free,
    held_by,
    move,
    over,
    sure,
)
from scriba.store.clock import now
from scriba.store.results import ResultStore, StoredResult
from scriba.store.tables import jobs, media, results, windows


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


class JobTable(JobReader):
    """Every statement that changes jobs."""

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
        twin = await self._finished_twin(connection, new.fingerprint)
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
        return to_job(row)

    async def _at_work(self, connection: AsyncConnection, new: NewJob) -> bool:
        unfinished = [state.value for state in JobState if not state.finished]
        query = select(jobs.c.id).where(
            jobs.c.media_id == new.media_id, jobs.c.door == new.door, jobs.c.state.in_(unfinished)
        )
        return (await connection.execute(query.limit(1))).first() is not None

    async def _finished_twin(self, connection: AsyncConnection, fingerprint: str) -> Job | None:
        """A completed job of the same work, whose result is still kept."""
        query = (
            select(jobs)
            .join(results, results.c.id == jobs.c.result_id)
            .where(results.c.fingerprint == fingerprint, jobs.c.state == JobState.COMPLETED.value)
            .limit(1)
        )
        row = (await connection.execute(query)).mappings().first()
        return None if row is None else to_job(row)

    async def _same_key(self, new: NewJob) -> Job | None:
        if new.idempotency_key is None:
            return None
        async with self._database.read() as connection:
            query = select(jobs).where(jobs.c.idempotency_key == new.idempotency_key)
            row = (await connection.execute(query)).mappings().first()
        if row is None:
            return None
        job = to_job(row)
        if (job.fingerprint, job.door) != (new.fingerprint, new.door):
            raise ConflictError(
                "Idempotency-Key was used for another request; send a new one.", field="Idempotency-Key"
            )
        return job

    async def claim(self, job_id: str, owner: str, lease: float) -> Job | None:
        """Take the job, if it is queued and due: exactly one of any number of workers gets it."""
        due = and_(jobs.c.id == job_id, jobs.c.not_before <= now())
        async with self._database.write() as connection:
            return await move(
                connection,
                Edge.CLAIM,
                due,
                owner=owner,
                attempt=jobs.c.attempt + 1,
                lease_until=now() + lease,
                started_at=now(),
                finished_at=None,
                error=None,
                error_code=None,
            )

    async def renew(self, owner: str, holds: Sequence[Hold], lease: float) -> set[str]:
        """Lengthen the leases of these jobs; the ids of those that are still held."""
        async with self._database.write() as connection:
            kept = await connection.execute(
                update(jobs)
                .where(held_by(owner, holds))
                .values(lease_until=now() + lease, updated_at=now())
                .returning(jobs.c.id)
            )
            return set(kept.scalars())

    async def record_window(
        self,
        hold: Hold,
        number: int,
        document: str,
        progress: JobProgress,
        lease: float,
        language: str | None,
    ) -> None:
        """A finished window, with how far the job has come.

        Raises:
            LostLeaseError: the job is no longer held; nothing was written.
        """
        async with self._held(hold) as (connection, held):
            await connection.execute(
                update(jobs)
                .where(held)
                .values(
                    progress_done=progress.done,
                    progress_total=progress.total,
                    language=language,
                    lease_until=now() + lease,
                    updated_at=now(),
                )
            )
            await connection.execute(
                insert(windows).values(job_id=hold.job_id, number=number, document=document)
            )

    async def record_progress(self, hold: Hold, progress: JobProgress) -> None:
        """How far a job without windows has come."""
        async with self._database.write() as connection:
            await connection.execute(
                update(jobs)
                .where(held_by(hold.owner, [hold]))
                .values(progress_done=progress.done, progress_total=progress.total, updated_at=now())
            )

    async def complete(
        self,
        hold: Hold,
        store: ResultStore,
        result: StoredResult,
        *,
        language: str | None,
        audio_duration: float,
        processing_seconds: float,
    ) -> Job:
        """
        Raises:
            LostLeaseError: the job is no longer held; nothing was written.
        """
        async with self._held(hold) as (connection, held):
            await store.record(connection, result)
            moved = await move(
                connection,
                Edge.COMPLETE,
                held,
                **over(),
                result_id=result.id,
                language=language,
                audio_duration=audio_duration,
                progress_done=audio_duration,
                progress_total=audio_duration,
                processing_seconds=func.coalesce(jobs.c.processing_seconds, 0.0) + processing_seconds,
            )
            await connection.execute(delete(windows).where(windows.c.job_id == hold.job_id))
            return sure(moved)

    async def answer(self, hold: Hold) -> Job | None:
        """Complete a job from the result of the same work, if that was done meanwhile."""
        async with self._held(hold) as (connection, held):
            fingerprint = select(jobs.c.fingerprint).where(jobs.c.id == hold.job_id)
            twin = await self._finished_twin(connection, (await connection.execute(fingerprint)).scalar_one())
            if twin is None:
                return None
            return await move(connection, Edge.COMPLETE, held, **over(), **answer_of(twin))

    async def fail(self, hold: Hold, code: str, message: str, processing_seconds: float) -> Job:
        """
        Raises:
            LostLeaseError: the job is no longer held; nothing was written.
        """
        async with self._held(hold) as (connection, held):
            return sure(
                await move(connection, Edge.FAIL, held, **over(), **fault(code, message, processing_seconds))
            )

    async def retry(
        self, hold: Hold, code: str, message: str, delay: float, processing_seconds: float
    ) -> Job:
        """Back into the queue, not before ``delay`` seconds have passed.

        Raises:
            LostLeaseError: the job is no longer held; nothing was written.
        """
        async with self._held(hold) as (connection, held):
            return sure(
                await move(
                    connection,
                    Edge.RETRY,
                    held,
                    **free(),
                    **fault(code, message, processing_seconds),
                    not_before=now() + delay,
                )
            )

    async def release(self, hold: Hold) -> Job | None:
        """Back into the queue as it was: the worker ends. None when it was no longer held."""
        async with self._database.write() as connection:
            return await move(
                connection, Edge.RELEASE, held_by(hold.owner, [hold]), **free(), attempt=jobs.c.attempt - 1
            )

    async def recover(self) -> list[Job]:
        """Free every job whose lease ran out: queued again, or failed when that was its last attempt."""
        expired = and_(jobs.c.state == JobState.RUNNING.value, jobs.c.lease_until < now())
        last = jobs.c.attempt >= jobs.c.max_attempts
        moved: list[Job] = []
        async with self._database.write() as connection:
            ids = list(
                (
                    await connection.execute(
                        select(jobs.c.id).where(expired).limit(500).with_for_update(skip_locked=True)
                    )
                ).scalars()
            )
            for job_id in ids:
                own = and_(jobs.c.id == job_id, expired)
                job = await move(
                    connection,
                    Edge.GIVE_UP,
                    and_(own, last),
                    **over(),
                    error_code="worker_lost",
                    error="The worker was lost on every attempt to run this job; the job may be why.",
                )
                job = job or await move(
                    connection, Edge.RECOVER, and_(own, ~last), **free(), not_before=now()
                )
                if job is not None:
                    moved.append(job)
        return moved

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

    @asynccontextmanager
    async def _held(self, hold: Hold) -> AsyncIterator[tuple[AsyncConnection, ColumnElement[bool]]]:
        """A transaction in which the job is held for sure; without it, nothing of the transaction is kept."""
        held = held_by(hold.owner, [hold])
        async with self._database.write() as connection:
            found = (await connection.execute(select(jobs.c.id).where(held).with_for_update())).first()
            if found is None:
                raise LostLeaseError(hold.job_id)
            yield connection, held
