"""What workers do to jobs: take them, hold them, and write down what became of them.

A worker holds a job by ``owner`` and ``attempt``. Whatever it writes names both, so that a worker that lost
its lease, for whatever reason, changes nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from sqlalchemy import ColumnElement, and_, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from scriba.domain.job import Edge, Job, JobProgress, JobState
from scriba.jobs.reading import JobReader
from scriba.jobs.statements import (
    Hold,
    LostLeaseError,
    answer_of,
    fault,
    finished_twin,
    free,
    held_by,
    move,
    over,
    sure,
)
from scriba.store.clock import now
from scriba.store.results import ResultStore, StoredResult
from scriba.store.tables import jobs, windows


class JobHolds(JobReader):
    """Every statement of a worker, and of the keeper that frees what the dead hold."""

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
        """A window's document, in place of an earlier one of it, with how far the job has come.

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
            own = and_(windows.c.job_id == hold.job_id, windows.c.number == number)
            await connection.execute(delete(windows).where(own))
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
            twin = await finished_twin(connection, (await connection.execute(fingerprint)).scalar_one())
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

    @asynccontextmanager
    async def _held(self, hold: Hold) -> AsyncIterator[tuple[AsyncConnection, ColumnElement[bool]]]:
        """A transaction in which the job is held for sure; without it, nothing of the transaction is kept."""
        held = held_by(hold.owner, [hold])
        async with self._database.write() as connection:
            found = (await connection.execute(select(jobs.c.id).where(held).with_for_update())).first()
            if found is None:
                raise LostLeaseError(hold.job_id)
            yield connection, held
