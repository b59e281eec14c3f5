"""What the task interface answers."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import BaseModel

from scriba.domain.job import Job, JobKind, JobState
from scriba.domain.transcript import Segment
from scriba.doors.jobs.wire import iso

STATUSES = {
    JobState.QUEUED: "QUEUED",
    JobState.RUNNING: "IN_PROGRESS",
    JobState.COMPLETED: "COMPLETED",
    JobState.FAILED: "FAILED",
    JobState.CANCELLED: "CANCELLED",
}
TYPES = {
    JobKind.TRANSCRIPTION: "transcription",
    JobKind.VAD: "vad",
    JobKind.SEPARATION: "bgm_separation",
}


class Queued(BaseModel):
    identifier: str
    status: str
    message: str


class TaskBody(BaseModel):
    """`duration` is seconds of processing; `progress` goes from 0.0 to 1.0."""

    identifier: str
    status: str
    task_type: str
    result_type: Literal["json", "filepath"]
    result: Any
    task_params: dict[str, Any]
    error: str | None
    duration: float | None
    progress: float
    created_at: str | None
    updated_at: str | None
    language: str | None
    audio_duration: float | None
    queue_position: int | None


class TaskList(BaseModel):
    tasks: list[TaskBody]


class Deleted(BaseModel):
    identifier: str
    message: Literal["Task deleted"] = "Task deleted"


class Detail(BaseModel):
    detail: Any


def spelt(state: JobState, *, lower: bool) -> str:
    status = STATUSES[state]
    return status.lower() if lower else status


def task_body(
    job: Job, result: Any, params: dict[str, Any], position: int | None, *, lower: bool
) -> TaskBody:
    return TaskBody(
        identifier=job.id,
        status=spelt(job.state, lower=lower),
        task_type=TYPES[job.kind],
        result_type="filepath" if job.kind is JobKind.SEPARATION else "json",
        result=result,
        task_params=params,
        error=job.error if job.state.finished else None,
        duration=None if job.processing_seconds is None else round(job.processing_seconds, 3),
        progress=1.0 if job.state is JobState.COMPLETED else round(job.progress.fraction, 4),
        created_at=iso(job.created_at),
        updated_at=iso(job.updated_at),
        language=job.language,
        audio_duration=job.audio_duration,
        queue_position=position,
    )


def segment_body(segment: Segment) -> dict[str, Any]:
    """Times in seconds. With speakers the text begins with the speaker, as the original writes it."""
    text = segment.text if segment.speaker is None else f"{segment.speaker}|{segment.text}"
    body: dict[str, Any] = {
        "id": segment.id,
        "seek": segment.seek,
        "start": round(segment.start, 3),
        "end": round(segment.end, 3),
        "text": text,
        "tokens": list(segment.tokens),
        "temperature": segment.temperature,
        "avg_logprob": _finite(segment.avg_logprob),
        "compression_ratio": _finite(segment.compression_ratio),
        "no_speech_prob": _finite(segment.no_speech_prob),
        "words": None
        if segment.words is None
        else [
            {
                "start": round(word.start, 3),
                "end": round(word.end, 3),
                "word": word.text,
                "probability": round(word.probability, 6),
            }
            | ({} if word.speaker is None else {"speaker": word.speaker})
            for word in segment.words
        ],
    }
    if segment.speaker is not None:
        body["speaker"] = segment.speaker
    return body


def _finite(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None
