"""What the routes of jobs take and answer."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from scriba.domain.job import Job, JobKind, JobState


class JobForm(BaseModel):
    """An order, as a form or as JSON. Exactly one of `file` (in a form), `media_id` and `url` is wanted."""

    file: bytes | None = Field(None, description="The recording.", json_schema_extra={"format": "binary"})
    media_id: str | None = Field(None, description="A recording that an earlier job or upload has stored.")
    url: str | None = Field(None, description="Where the server fetches the recording; `http` or `https`.")
    kind: Literal["transcription", "vad", "separation"] = Field(
        "transcription", description="What is done with it."
    )
    model: str | None = Field(None, description="Name of the model; left out, the server's default.")
    task: Literal["transcribe", "translate"] = Field("transcribe", description="Translation is to English.")
    language: str | None = Field(None, description="Code or English name; left out, it is detected.")
    languages: list[str] = Field([], description="Languages that may be spoken; detection chooses.")
    prompt: str | None = Field(None, description="Text that guides the model's style.")
    keywords: list[str] = Field([], description="Words or phrases that are likely to be said.")
    temperature: float | None = Field(None, ge=0, le=1, description="0 rises by itself when a text fails.")
    beam_size: int | None = Field(None, ge=1, description="Width of the search.")
    words: bool = Field(False, description="With the time of every word.")
    diarize: bool | None = Field(None, description="Tell who speaks.")
    num_speakers: int | None = Field(None, ge=1, le=64, description="How many speakers there are.")
    min_speakers: int | None = Field(None, ge=1, le=64, description="At least so many.")
    max_speakers: int | None = Field(None, ge=1, le=64, description="At most so many.")
    speaker_channels: bool | None = Field(None, description="Every channel of the recording is a speaker.")
    known_speaker_names: list[str] = Field(
        [], description="Names of speakers whose voices are sent, up to 4."
    )
    known_speaker_references: list[str] = Field(
        [], description="For each name a recording of the voice, 2 to 10 s, as a data URL in base64."
    )
    vad_filter: bool | None = Field(None, description="Listen only to what sounds like speech.")
    guards: bool | None = Field(None, description="Withhold text that nobody said.")
    threshold: float | None = Field(None, ge=0, le=1, description="Probability above which sound is speech.")
    min_speech_duration_ms: int | None = Field(None, ge=0, description="Shorter speech is left out.")
    min_silence_duration_ms: int | None = Field(None, ge=0, description="So much silence ends speech.")
    speech_pad_ms: int | None = Field(None, ge=0, description="Sound kept on both sides of speech.")
    max_speech_duration_s: float | None = Field(None, gt=0, description="Longer speech is cut.")
    separate: bool | None = Field(None, description="Part voice from music first, and listen to the voice.")
    separation_model: str | None = Field(None, description="What parts them; left out, the server's default.")
    priority: int = Field(0, ge=-100, le=100, description="Higher goes first.")
    webhook_url: str | None = Field(None, description="Told when the job has ended, signed.")


class Progress(BaseModel):
    """How far a job is. `eta_seconds` is how much longer it takes at the pace so far."""

    fraction: float
    seconds_done: float
    seconds_total: float | None
    eta_seconds: float | None


class JobError(BaseModel):
    code: str
    message: str


class Links(BaseModel):
    self: str
    events: str
    result: str
    file: str | None


class JobBody(BaseModel):
    """One job. Times are ISO 8601, durations seconds. `queue_position` is how many go before it."""

    id: str
    object: Literal["job"] = "job"
    kind: str
    status: Literal["queued", "running", "completed", "failed", "cancelled"]
    created_at: str
    started_at: str | None
    finished_at: str | None
    progress: Progress
    queue_position: int | None = None
    priority: int
    attempt: int
    max_attempts: int
    media_id: str | None
    language: str | None
    audio_duration: float | None
    processing_seconds: float | None
    error: JobError | None
    links: Links


class JobPage(BaseModel):
    """Newest first. The next page is the one `after` the last id of this one."""

    object: Literal["list"] = "list"
    data: list[JobBody]
    has_more: bool


class Deleted(BaseModel):
    id: str
    object: Literal["job"] = "job"
    deleted: Literal[True] = True


class ProgressEvent(BaseModel):
    """The job has come further, or is in another state."""

    type: Literal["job.progress"] = "job.progress"
    job: JobBody


class SegmentEvent(BaseModel):
    """A segment that is final, in the shape of OpenAI's `verbose_json`."""

    type: Literal["job.segment"] = "job.segment"
    segment: dict[str, Any]


class EndEvent(BaseModel):
    """The job has ended. Nothing follows."""

    type: Literal["job.completed", "job.failed", "job.cancelled"]
    job: JobBody


class WebhookBody(BaseModel):
    """A message to the job's webhook, and what became of it."""

    id: str
    object: Literal["webhook"] = "webhook"
    status: Literal["pending", "delivered", "dead"]
    attempt: int
    created_at: str
    http_status: int | None
    error: str | None


class WebhookList(BaseModel):
    object: Literal["list"] = "list"
    data: list[WebhookBody]


def iso(seconds: float | None) -> str | None:
    """Seconds since the epoch as ISO 8601 in UTC."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()


def eta(job: Job) -> float | None:
    """Seconds that a running job still takes at the pace so far; None while nobody can tell."""
    done, total = job.progress.done, job.progress.total
    if job.state.value != "running" or not total or done <= 0 or job.started_at is None:
        return None
    spent = max(0.0, job.updated_at - job.started_at)
    return round(max(0.0, total - done) * spent / done, 1)


def job_body(job: Job, base: str, position: int | None = None) -> JobBody:
    """``base`` is the address of all jobs."""
    own = f"{base}/{job.id}"
    return JobBody(
        id=job.id,
        kind=job.kind.value,
        status=job.state.value,
        created_at=iso(job.created_at) or "",
        started_at=iso(job.started_at),
        finished_at=iso(job.finished_at),
        progress=Progress(
            fraction=round(job.progress.fraction, 4),
            seconds_done=round(job.progress.done, 3),
            seconds_total=job.progress.total,
            eta_seconds=eta(job),
        ),
        queue_position=position,
        priority=job.priority,
        attempt=job.attempt,
        max_attempts=job.max_attempts,
        media_id=job.media_id,
        language=job.language,
        audio_duration=job.audio_duration,
        processing_seconds=None if job.processing_seconds is None else round(job.processing_seconds, 3),
        error=None if job.error is None else JobError(code=job.error_code or "", message=job.error),
        links=Links(
            self=own,
            events=f"{own}/events",
            result=f"{own}/result",
            file=f"{own}/file" if _has_file(job) else None,
        ),
    )


def _has_file(job: Job) -> bool:
    return job.kind is JobKind.SEPARATION and job.state is JobState.COMPLETED
