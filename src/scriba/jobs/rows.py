"""A row of the table to a job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scriba.domain.job import Job, JobKind, JobProgress, JobState

_AS_THEY_ARE = (
    "id",
    "door",
    "priority",
    "media_id",
    "options",
    "request",
    "fingerprint",
    "attempt",
    "max_attempts",
    "created_at",
    "updated_at",
    "not_before",
    "owner",
    "lease_until",
    "started_at",
    "finished_at",
    "idempotency_key",
    "webhook_url",
    "result_id",
    "language",
    "audio_duration",
    "processing_seconds",
    "error_code",
    "error",
)


def to_job(row: Mapping[Any, Any]) -> Job:
    return Job(
        kind=JobKind(row["kind"]),
        state=JobState(row["state"]),
        progress=JobProgress(row["progress_done"], row["progress_total"]),
        **{name: row[name] for name in _AS_THEY_ARE},
    )
