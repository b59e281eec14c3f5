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
    CursorResult,
    Select,
    and_,
    case,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from scriba.domain.errors import ConflictError, NotFoundError
from scriba.domain.job import Edge, Job, JobKind, JobProgress, JobState
from scriba.jobs.rows import to_job
from scriba.store.clock import now
from scriba.store.database import Database
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


@dataclass(frozen=True, slots=True)
class Hold:
    """A worker's right to a job: its ``attempt``-th try, by ``owner``."""

    job_id: str
    owner: str
    attempt: int


class LostLeaseError(Exception):
    """The job is no longer held: cancelled, deleted, or given to another worker."""


class JobTable:
    """Every statement on jobs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def submit(self, new: NewJob) -> tuple[Job, bool]:
        """Put a job into the table; False with the earlier one when its idempotency key was used before.

        Work that was done before is answered from its result at once.

        Raises:
            NotFoundError: the recording is not there.
            ConflictError: the key was used for something else.
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
            values |= _answer_of(twin) | {"started_at": now(), "finished_at": now()}
        row = (await connection.execute(insert(jobs).values(values).returning(jobs))).mappings().one()
        return to_job(row)

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
            return await _move(
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
                .where(_held_by(owner, holds))
                .values(lease_until=now() + lease, updated_at=now())
                .returning(jobs.c.id)
            )
            return set(kept.scalars())

    async def still_held(self, owner: str, holds: Sequence[Hold]) -> set[str]:
        """The ids of those that are still held. Writes nothing."""
        rows = await self._database.fetch(select(jobs.c.id).where(_held_by(owner, holds)))
        return {row["id"] for row in rows}

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
                .where(_held_by(hold.owner, [hold]))
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
            moved = await _move(
                connection,
                Edge.COMPLETE,
                held,
                **_over(),
                result_id=result.id,
                language=language,
                audio_duration=audio_duration,
                progress_done=audio_duration,
                progress_total=audio_duration,
                processing_seconds=func.coalesce(jobs.c.processing_seconds, 0.0) + processing_seconds,
            )
            await connection.execute(delete(windows).where(windows.c.job_id == hold.job_id))
            return _sure(moved)

    async def answer(self, hold: Hold) -> Job | None:
        """Complete a job from the result of the same work, if that was done meanwhile."""
        async with self._held(hold) as (connection, held):
            fingerprint = select(jobs.c.fingerprint).where(jobs.c.id == hold.job_id)
            twin = await self._finished_twin(connection, (await connection.execute(fingerprint)).scalar_one())
            if twin is None:
                return None
            return await _move(connection, Edge.COMPLETE, held, **_over(), **_answer_of(twin))

    async def fail(self, hold: Hold, code: str, message: str, processing_seconds: float) -> Job:
        """
        Raises:
            LostLeaseError: the job is no longer held; nothing was written.
        """
        async with self._held(hold) as (connection, held):
            return _sure(
                await _move(
                    connection, Edge.FAIL, held, **_over(), **_fault(code, message, processing_seconds)
                )
            )

    async def retry(
        self, hold: Hold, code: str, message: str, delay: float, processing_seconds: float
    ) -> Job:
        """Back into the queue, not before ``delay`` seconds have passed.

        Raises:
            LostLeaseError: the job is no longer held; nothing was written.
        """
        async with self._held(hold) as (connection, held):
            return _sure(
                await _move(
                    connection,
                    Edge.RETRY,
                    held,
                    **_free(),
                    **_fault(code, message, processing_seconds),
                    not_before=now() + delay,
                )
            )

    async def release(self, hold: Hold) -> Job | None:
        """Back into the queue as it was: the worker ends. None when it was no longer held."""
        async with self._database.write() as connection:
            return await _move(
                connection, Edge.RELEASE, _held_by(hold.owner, [hold]), **_free(), attempt=jobs.c.attempt - 1
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
                job = await _move(
                    connection,
                    Edge.GIVE_UP,
                    and_(own, last),
                    **_over(),
                    error_code="worker_lost",
                    error="The worker was lost on every attempt to run this job; the job may be why.",
                )
                job = job or await _move(
                    connection, Edge.RECOVER, and_(own, ~last), **_free(), not_before=now()
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
            job = await _move(
                connection,
                Edge.CANCEL,
                jobs.c.id == job_id,
                **_over(),
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
            job = await _move(
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

    async def get(self, job_id: str) -> Job:
        """
        Raises:
            NotFoundError: there is no such job.
        """
        rows = await self._database.fetch(select(jobs).where(jobs.c.id == job_id))
        if not rows:
            raise NotFoundError("There is no job of that id.", field="id")
        return to_job(rows[0])

    async def page(
        self,
        *,
        limit: int,
        after: str | None = None,
        door: str | None = None,
        state: JobState | None = None,
    ) -> list[Job]:
        """Newest first; ``after`` is the id of the last job of the page before.

        Raises:
            NotFoundError: there is no job ``after``.
        """
        query = select(jobs).order_by(jobs.c.created_at.desc(), jobs.c.id.desc()).limit(limit)
        if after is not None:
            last = await self.get(after)
            query = query.where(
                or_(
                    jobs.c.created_at < last.created_at,
                    and_(jobs.c.created_at == last.created_at, jobs.c.id < last.id),
                )
            )
        if door is not None:
            query = query.where(jobs.c.door == door)
        if state is not None:
            query = query.where(jobs.c.state == state.value)
        return [to_job(row) for row in await self._database.fetch(query)]

    async def latest_for_media(self, media_ids: Sequence[str], door: str) -> dict[str, Job]:
        """The newest job of each recording that came through this door."""
        found: dict[str, Job] = {}
        async with self._database.read() as connection:
            for start in range(0, len(media_ids), 500):
                some = list(media_ids[start : start + 500])
                query = (
                    select(jobs)
                    .where(jobs.c.media_id.in_(some), jobs.c.door == door)
                    .order_by(jobs.c.created_at, jobs.c.id)
                )
                for row in (await connection.execute(query)).mappings():
                    found[row["media_id"]] = to_job(row)
        return found

    async def due(self, limit: int, skip: Sequence[str] = ()) -> list[str]:
        """Ids of queued jobs whose time has come, the most urgent first."""
        query = self._due().order_by(jobs.c.priority.desc(), jobs.c.created_at, jobs.c.id).limit(limit)
        if skip:
            query = query.where(jobs.c.id.not_in(list(skip)))
        return [row["id"] for row in await self._database.fetch(query)]

    async def waiting(self, older_than: float, limit: int = 1000) -> list[Job]:
        """Queued jobs that were due so many seconds ago, the oldest first: has their delivery got lost?"""
        query = (
            select(jobs)
            .where(jobs.c.state == JobState.QUEUED.value, jobs.c.not_before <= now() - older_than)
            .order_by(jobs.c.updated_at)
            .limit(limit)
        )
        async with self._database.read() as connection:
            return [to_job(row) for row in (await connection.execute(query)).mappings()]

    async def position(self, job: Job) -> int | None:
        """How many queued jobs go before it; None when it is not queued."""
        if job.state is not JobState.QUEUED:
            return None
        before = or_(
            jobs.c.priority > job.priority,
            and_(jobs.c.priority == job.priority, jobs.c.created_at < job.created_at),
        )
        ahead = func.count().label("ahead")
        query = select(ahead).select_from(jobs).where(jobs.c.state == JobState.QUEUED.value, before)
        return int((await self._database.fetch(query))[0]["ahead"])

    async def counts(self) -> dict[str, int]:
        """How many jobs there are in each state."""
        query = select(jobs.c.state, func.count()).group_by(jobs.c.state)
        async with self._database.read() as connection:
            return {state: int(count) for state, count in await connection.execute(query)}

    async def windows_after(self, job_id: str, number: int) -> list[tuple[int, str]]:
        """Finished windows of a job that runs, in order, from behind this one on."""
        query = (
            select(windows.c.number, windows.c.document)
            .where(windows.c.job_id == job_id, windows.c.number > number)
            .order_by(windows.c.number)
        )
        rows = await self._database.fetch(query)
        return [(int(row["number"]), str(row["document"])) for row in rows]

    def _due(self) -> Select[Any]:
        return select(jobs.c.id).where(jobs.c.state == JobState.QUEUED.value, jobs.c.not_before <= now())

    @asynccontextmanager
    async def _held(self, hold: Hold) -> AsyncIterator[tuple[AsyncConnection, ColumnElement[bool]]]:
        """A transaction in which the job is held for sure; without it, nothing of the transaction is kept."""
        held = _held_by(hold.owner, [hold])
        async with self._database.write() as connection:
            found = (await connection.execute(select(jobs.c.id).where(held).with_for_update())).first()
            if found is None:
                raise LostLeaseError(hold.job_id)
            yield connection, held


async def _move(
    connection: AsyncConnection, edge: Edge, which: ColumnElement[bool], **values: Any
) -> Job | None:
    """Go along an edge; None when no job may."""
    changed: CursorResult[Any] = await connection.execute(
        update(jobs)
        .where(which, jobs.c.state.in_([state.value for state in edge.leaves]))
        .values(state=edge.target.value, updated_at=now(), **values)
        .returning(jobs)
    )
    row = changed.mappings().first()
    return None if row is None else to_job(row)


def _held_by(owner: str, holds: Sequence[Hold]) -> ColumnElement[bool]:
    attempts = case(*((jobs.c.id == hold.job_id, hold.attempt) for hold in holds), else_=-1)
    return and_(
        jobs.c.id.in_([hold.job_id for hold in holds]),
        jobs.c.attempt == attempts,
        jobs.c.owner == owner,
        jobs.c.state == JobState.RUNNING.value,
    )


def _free() -> dict[str, Any]:
    return {"owner": None, "lease_until": None}


def _over() -> dict[str, Any]:
    return _free() | {"finished_at": now()}


def _fault(code: str, message: str, seconds: float) -> dict[str, Any]:
    spent = func.coalesce(jobs.c.processing_seconds, 0.0) + seconds
    return {"error_code": code, "error": message, "processing_seconds": spent}


def _answer_of(twin: Job) -> dict[str, Any]:
    """What a job of the same work takes over from the one that did it."""
    return {
        "result_id": twin.result_id,
        "language": twin.language,
        "audio_duration": twin.audio_duration,
        "progress_done": twin.progress.done,
        "progress_total": twin.progress.total,
        "processing_seconds": 0.0,
    }


def _sure(job: Job | None) -> Job:
    if job is None:
        raise LostLeaseError
    return job
