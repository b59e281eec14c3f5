"""Parts of the statements on jobs: moving along an edge, and being the one who holds a job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, CursorResult, and_, case, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from scriba.domain.job import Edge, Job, JobState
from scriba.jobs.outbox import keep_message
from scriba.jobs.rows import to_job
from scriba.store.clock import now
from scriba.store.tables import jobs, results


@dataclass(frozen=True, slots=True)
class Hold:
    """A worker's right to a job: its ``attempt``-th try, by ``owner``."""

    job_id: str
    owner: str
    attempt: int


class LostLeaseError(Exception):
    """The job is no longer held: cancelled, deleted, or given to another worker."""


async def move(
    connection: AsyncConnection, edge: Edge, which: ColumnElement[bool], **values: Any
) -> Job | None:
    """Go along an edge; None when no job may. Who wants to be told of the end will be."""
    changed: CursorResult[Any] = await connection.execute(
        update(jobs)
        .where(which, jobs.c.state.in_([state.value for state in edge.leaves]))
        .values(state=edge.target.value, updated_at=now(), **values)
        .returning(jobs)
    )
    row = changed.mappings().first()
    if row is None:
        return None
    job = to_job(row)
    await keep_message(connection, job)
    return job


def held_by(owner: str, holds: Sequence[Hold]) -> ColumnElement[bool]:
    attempts = case(*((jobs.c.id == hold.job_id, hold.attempt) for hold in holds), else_=-1)
    return and_(
        jobs.c.id.in_([hold.job_id for hold in holds]),
        jobs.c.attempt == attempts,
        jobs.c.owner == owner,
        jobs.c.state == JobState.RUNNING.value,
    )


def free() -> dict[str, Any]:
    return {"owner": None, "lease_until": None}


def over() -> dict[str, Any]:
    return free() | {"finished_at": now()}


def fault(code: str, message: str, seconds: float) -> dict[str, Any]:
    spent = func.coalesce(jobs.c.processing_seconds, 0.0) + seconds
    return {"error_code": code, "error": message, "processing_seconds": spent}


async def finished_twin(connection: AsyncConnection, fingerprint: str) -> Job | None:
    """A completed job of the same work, whose result is still kept."""
    query = (
        select(jobs)
        .join(results, results.c.id == jobs.c.result_id)
        .where(results.c.fingerprint == fingerprint, jobs.c.state == JobState.COMPLETED.value)
        .limit(1)
    )
    row = (await connection.execute(query)).mappings().first()
    return None if row is None else to_job(row)


def answer_of(twin: Job) -> dict[str, Any]:
    """What a job of the same work takes over from the one that did it."""
    return {
        "result_id": twin.result_id,
        "language": twin.language,
        "audio_duration": twin.audio_duration,
        "progress_done": twin.progress.done,
        "progress_total": twin.progress.total,
        "processing_seconds": 0.0,
    }


def sure(job: Job | None) -> Job:
    if job is None:
        raise LostLeaseError
    return job
