"""Messages that jobs have ended, written in the transaction that ends them: none without the other."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from scriba.domain.job import Job
from scriba.jobs.codec import dumps
from scriba.store.clock import now
from scriba.store.tables import webhooks


class WebhookState(StrEnum):
    """Where a message stands."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"


async def keep_message(connection: AsyncConnection, job: Job) -> None:
    """Keep the message that a job has ended, for whom it is to be told. Kept twice, it is one message."""
    if job.webhook_url is None or not job.state.finished:
        return
    moment = job.finished_at or job.updated_at
    message_id = f"msg_{job.id}_{int(moment * 1000)}"
    known = await connection.execute(select(webhooks.c.id).where(webhooks.c.id == message_id))
    if known.first() is not None:
        return
    body = {
        "type": f"job.{job.state.value}",
        "timestamp": datetime.fromtimestamp(moment, UTC).isoformat(),
        "data": {
            "id": job.id,
            "kind": job.kind.value,
            "status": job.state.value,
            "error": None if job.error is None else {"code": job.error_code, "message": job.error},
        },
    }
    await connection.execute(
        insert(webhooks).values(
            id=message_id,
            job_id=job.id,
            url=job.webhook_url,
            payload=dumps(body),
            state=WebhookState.PENDING.value,
            attempt=0,
            not_before=now(),
            created_at=now(),
            updated_at=now(),
        )
    )
