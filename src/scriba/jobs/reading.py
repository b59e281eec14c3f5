"""Looking at jobs. Nothing here writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, and_, func, or_, select

from scriba.domain.errors import NotFoundError
from scriba.domain.job import Job, JobState
from scriba.jobs.rows import to_job
from scriba.jobs.statements import Hold, held_by
from scriba.store.clock import now
from scriba.store.database import Database
from scriba.store.tables import jobs, windows


class JobReader:
    """Every question about jobs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def still_held(self, owner: str, holds: Sequence[Hold]) -> set[str]:
        """The ids of those that are still held. Writes nothing."""
        rows = await self._database.fetch(select(jobs.c.id).where(held_by(owner, holds)))
        return {row["id"] for row in rows}

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
            rows = await self._database.fetch(select(jobs).where(jobs.c.id == after))
            if not rows:
                raise NotFoundError("after: there is no job of that id to go on after.", field="after")
            last = to_job(rows[0])
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
        """The newest job of each recording through this door, of those that completed if any did."""
        found: dict[str, Job] = {}
        async with self._database.read() as connection:
            for start in range(0, len(media_ids), 500):
                some = list(media_ids[start : start + 500])
                query = (
                    select(jobs)
                    .where(jobs.c.media_id.in_(some), jobs.c.door == door)
                    .order_by(jobs.c.state == JobState.COMPLETED.value, jobs.c.created_at, jobs.c.id)
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
        """Documents of a running job's windows, in order, from behind this one on."""
        query = (
            select(windows.c.number, windows.c.document)
            .where(windows.c.job_id == job_id, windows.c.number > number)
            .order_by(windows.c.number)
        )
        rows = await self._database.fetch(query)
        return [(int(row["number"]), str(row["document"])) for row in rows]

    def _due(self) -> Select[Any]:
        return select(jobs.c.id).where(jobs.c.state == JobState.QUEUED.value, jobs.c.not_before <= now())
