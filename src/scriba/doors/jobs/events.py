"""A job's events while it runs, whichever machine runs it: the table is looked at now and then."""

from __future__ import annotations

import asyncio
from typing import Any

from scriba.domain.errors import ScribaError
from scriba.domain.job import Job, JobKind, JobState
from scriba.domain.transcript import Segment
from scriba.doors.errors import openai_error
from scriba.doors.jobs.wire import EndEvent, ProgressEvent, SegmentEvent, job_body
from scriba.doors.sse import Events
from scriba.formats.json_text import segment_body
from scriba.jobs.service import JobService

LOOK_SECONDS = 0.3


async def job_events(jobs: JobService, job: Job, base: str) -> Events:
    """What has happened so far, and then whatever happens, until the job has ended."""
    window, told = -1, 0
    seen: tuple[Any, ...] | None = None
    while True:
        if not job.state.finished:
            window, segments = await jobs.segments_after(job, window)
            for segment in segments:
                yield _segment(segment)
            told += len(segments)
        now = (job.state, job.attempt, job.progress)
        if job.state.finished:
            break
        if now != seen:
            seen = now
            yield ProgressEvent(job=job_body(job, base, await jobs.position(job)))
        await asyncio.sleep(LOOK_SECONDS)
        job = await jobs.get(job.id)
    if job.state is JobState.COMPLETED and job.kind is JobKind.TRANSCRIPTION:
        # Whatever was finished between two looks, or all of it where the job had ended before.
        for segment in (await jobs.transcript(job)).segments[told:]:
            yield _segment(segment)
    yield EndEvent.model_validate({"type": f"job.{job.state.value}", "job": job_body(job, base)})


def events_error(error: Exception) -> dict[str, Any]:
    """A failure in the middle of a stream."""
    known = error if isinstance(error, ScribaError) else ScribaError("The server failed.")
    return openai_error(known)


def _segment(segment: Segment) -> SegmentEvent:
    return SegmentEvent(segment=segment_body(segment))
