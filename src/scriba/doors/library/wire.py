"""What the library interface answers."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel

from scriba.domain.job import Job, JobState
from scriba.domain.media import Media
from scriba.domain.transcript import Transcript
from scriba.doors.jobs.wire import iso


class Detail(BaseModel):
    detail: Any


class Metadata(BaseModel):
    """One upload. `size` is megabytes of 1,000,000 bytes; `time` seconds of processing, after a run."""

    size: float
    location: str
    id: str
    model: str | None
    model_ran: bool
    upload_date: str
    time: float | None = None
    model_date: str | None = None


class Chunk(BaseModel):
    timestamp: tuple[float, float]
    text: str


class ResultText(BaseModel):
    text: str
    chunks: list[Chunk]


class MetadataWithResult(Metadata):
    result: ResultText


class Results(BaseModel):
    video_url: str
    srt_url: str
    results: MetadataWithResult
    filename: str


def location(media: Media) -> str:
    """A logical place: no path of any disk."""
    return f"db/{media.id}/{media.name}"


def metadata(media: Media, job: Job | None) -> Metadata:
    """``job`` is the newest run, if there was one."""
    ran = job is not None and job.state is JobState.COMPLETED
    return Metadata(
        size=round(media.size / 1_000_000, 6),
        location=location(media),
        id=media.id,
        model=json.loads(job.options)["model"] if job is not None else None,
        model_ran=ran,
        upload_date=iso(media.listed_at or media.created_at) or "",
        time=round(job.processing_seconds or 0.0, 3) if ran and job is not None else None,
        model_date=iso(job.finished_at) if ran and job is not None else None,
    )


def results_body(media: Media, job: Job, transcript: Transcript, root: str) -> Results:
    """``root`` is the path under which a proxy publishes the server."""
    chunks = [
        Chunk(timestamp=(round(segment.start, 3), round(segment.end, 3)), text=segment.text)
        for segment in transcript.segments
    ]
    return Results(
        video_url=f"{root}/api/video/{media.id}/{quote(media.name, safe='')}",
        srt_url=f"{root}/api/srt/{media.id}",
        results=MetadataWithResult(
            **metadata(media, job).model_dump(), result=ResultText(text=transcript.text, chunks=chunks)
        ),
        filename=media.name,
    )
