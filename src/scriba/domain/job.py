"""A job: work that outlives the request that ordered it. Its states, and every legal way between them.

::

    (new)     --submit-->   QUEUED
    (new)     --answer-->   COMPLETED   the same work was done before, and its result is given again
    QUEUED    --claim-->    RUNNING     a worker holds it, for as long as it renews its lease
    QUEUED    --cancel-->   CANCELLED
    RUNNING   --complete--> COMPLETED
    RUNNING   --fail-->     FAILED      what would fail again: bad input, or the last attempt
    RUNNING   --retry-->    QUEUED      what can pass: tried again after a while
    RUNNING   --release-->  QUEUED      the worker is told to end; the attempt does not count
    RUNNING   --recover-->  QUEUED      the lease ran out: the worker is dead, stopped or cut off
    RUNNING   --give_up-->  FAILED      the lease ran out on the last attempt
    RUNNING   --cancel-->   CANCELLED
    FAILED    --requeue-->  QUEUED      a person asks for it
    CANCELLED --requeue-->  QUEUED      a person asks for it
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum


class JobState(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def finished(self) -> bool:
        """Nothing more happens to it, unless a person asks."""
        return self in (JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED)


class Edge(Enum):
    """A legal change of state: where it may begin (None: a new job) and where it ends."""

    SUBMIT = ("submit", (None,), JobState.QUEUED)
    ANSWER = ("answer", (None,), JobState.COMPLETED)
    CLAIM = ("claim", (JobState.QUEUED,), JobState.RUNNING)
    COMPLETE = ("complete", (JobState.RUNNING,), JobState.COMPLETED)
    FAIL = ("fail", (JobState.RUNNING,), JobState.FAILED)
    RETRY = ("retry", (JobState.RUNNING,), JobState.QUEUED)
    RELEASE = ("release", (JobState.RUNNING,), JobState.QUEUED)
    RECOVER = ("recover", (JobState.RUNNING,), JobState.QUEUED)
    GIVE_UP = ("give_up", (JobState.RUNNING,), JobState.FAILED)
    CANCEL = ("cancel", (JobState.QUEUED, JobState.RUNNING), JobState.CANCELLED)
    REQUEUE = ("requeue", (JobState.FAILED, JobState.CANCELLED), JobState.QUEUED)

    def __init__(self, label: str, sources: tuple[JobState | None, ...], target: JobState) -> None:
        self.label = label
        self.sources = sources
        self.target = target

    @property
    def leaves(self) -> tuple[JobState, ...]:
        """The states of existing jobs that it may begin in."""
        return tuple(state for state in self.sources if state is not None)


class JobKind(StrEnum):
    """What is done with the recording."""

    TRANSCRIPTION = "transcription"
    VAD = "vad"
    SEPARATION = "separation"


LOWEST_PRIORITY, DEFAULT_PRIORITY, HIGHEST_PRIORITY = -100, 0, 100
"""Higher goes first; among equals, the older job."""


@dataclass(frozen=True, slots=True)
class JobProgress:
    """Seconds of the recording that are done, of ``total`` (None while nobody knows)."""

    done: float = 0.0
    total: float | None = None

    @property
    def fraction(self) -> float:
        """0.0 to 1.0; 0.0 while the total is not known."""
        return min(1.0, self.done / self.total) if self.total else 0.0


@dataclass(frozen=True, slots=True)
class Job:
    """One job as it stands in the table. Times are seconds since the epoch by the database's clock.

    ``options`` and ``request`` are JSON objects: what the work is done with, and what the door that took the
    job wants to tell again. ``owner`` holds the job, as its ``attempt``-th try, until ``lease_until``.
    """

    id: str
    kind: JobKind
    door: str
    state: JobState
    priority: int
    media_id: str | None
    options: str
    request: str
    fingerprint: str
    attempt: int
    max_attempts: int
    created_at: float
    updated_at: float
    not_before: float
    progress: JobProgress
    owner: str | None = None
    lease_until: float | None = None
    started_at: float | None = None
    finished_at: float | None = None
    idempotency_key: str | None = None
    webhook_url: str | None = None
    result_id: str | None = None
    language: str | None = None
    audio_duration: float | None = None
    processing_seconds: float | None = None
    error_code: str | None = None
    error: str | None = None
