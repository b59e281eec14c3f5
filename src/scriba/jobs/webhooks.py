"""Telling a client's server that a job has ended: signed, tried again, and never dropped unseen.

::

    PENDING --answered 2xx-->                  DELIVERED
    PENDING --no answer, or another, tries left--> PENDING   (later)
    PENDING --410, or no try left-->           DEAD
    DEAD    --resend-->                        PENDING
    DELIVERED --resend-->                      PENDING

(https://github.com/standard-webhooks/standard-webhooks)
"""

from __future__ import annotations

import asyncio
import http.client
import secrets
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
from sqlalchemy import and_, select, update
from standardwebhooks import Webhook

from scriba.domain.errors import ConflictError, NotFoundError, ScribaError
from scriba.jobs.fetch import Resolve, connect, judge, resolve
from scriba.jobs.outbox import WebhookState
from scriba.jobs.tasks import wait_for_any
from scriba.store.clock import now
from scriba.store.database import Database
from scriba.store.tables import webhooks

SCHEDULE = (5.0, 30.0, 120.0, 600.0, 3600.0, 4 * 3600.0, 12 * 3600.0)
"""Seconds before the second and each further try."""
_TIMEOUT = 15.0
_BATCH = 20
_HELD_SECONDS = 60.0
"""For so long a message is another process's when it was taken for a try."""
_GONE = 410
_THREADS = ThreadPoolExecutor(_BATCH, thread_name_prefix="scriba-webhook")
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class WebhookMessage:
    """One message and what became of it. ``status`` is the last HTTP status, ``error`` the last failure."""

    id: str
    job_id: str
    url: str
    state: WebhookState
    attempt: int
    created_at: float
    status: int | None
    error: str | None


class Webhooks:
    """Sends the messages that ``outbox`` keeps. ``news`` is set when there may be one.

    Args:
        secret: ``whsec_`` and base64, shared with the receivers; without one no webhook is taken.
        private: hosts inside the network that may be told.
    """

    def __init__(
        self,
        database: Database,
        secret: str | None,
        private: frozenset[str] = frozenset(),
        schedule: tuple[float, ...] = SCHEDULE,
        look_up: Resolve = resolve,
    ) -> None:
        self._database = database
        self._signer = None if secret is None else Webhook(secret)
        self._private = private
        self._schedule = schedule
        self._look_up = look_up
        self.news = asyncio.Event()

    @property
    def enabled(self) -> bool:
        return self._signer is not None

    async def check(self, url: str) -> None:
        """Refuse an address that could never be told.

        Raises:
            AddressRefusedError: it is not one this server connects to.
            FetchError: its host has no address.
        """
        await asyncio.to_thread(judge, url, self._private, self._look_up, field="webhook_url")

    async def messages(self, job_id: str) -> list[WebhookMessage]:
        """All messages of a job, oldest first."""
        query = select(webhooks).where(webhooks.c.job_id == job_id).order_by(webhooks.c.created_at)
        async with self._database.read() as connection:
            return [_message(row) for row in (await connection.execute(query)).mappings()]

    async def resend(self, message_id: str) -> WebhookMessage:
        """Send a message again, with all its tries.

        Raises:
            NotFoundError: there is none of that id.
            ConflictError: it is on its way.
        """
        async with self._database.write() as connection:
            row = (
                (
                    await connection.execute(
                        update(webhooks)
                        .where(webhooks.c.id == message_id, webhooks.c.state != WebhookState.PENDING.value)
                        .values(
                            state=WebhookState.PENDING.value, attempt=0, not_before=now(), updated_at=now()
                        )
                        .returning(webhooks)
                    )
                )
                .mappings()
                .first()
            )
            known = await connection.execute(select(webhooks.c.id).where(webhooks.c.id == message_id))
            if row is None and known.first() is None:
                raise NotFoundError("There is no webhook message of that id.", field="id")
        if row is None:
            raise ConflictError("The message is on its way already.")
        self.news.set()
        return _message(row)

    async def run(self, stop: asyncio.Event) -> None:
        """Send what is due, until ``stop``."""
        while not stop.is_set():
            self.news.clear()
            try:
                sent = await self.send_due()
            except ScribaError as error:
                log.warning("webhooks put off", why=error.message)
                sent = 0
            if not sent:
                await wait_for_any(2.0, stop, self.news)

    async def send_due(self) -> int:
        """Try every message whose time has come; how many were tried. None, without a secret to sign with."""
        if not self.enabled:
            return 0
        taken = await self._take()
        await asyncio.gather(*(self._send(row) for row in taken))
        return len(taken)

    async def _take(self) -> list[dict[str, Any]]:
        due = and_(webhooks.c.state == WebhookState.PENDING.value, webhooks.c.not_before <= now())
        some = (
            select(webhooks.c.id)
            .where(due)
            .order_by(webhooks.c.not_before)
            .limit(_BATCH)
            .with_for_update(skip_locked=True)
        )
        async with self._database.write() as connection:
            ids = list((await connection.execute(some)).scalars())
            if not ids:
                return []
            rows = await connection.execute(
                update(webhooks)
                .where(webhooks.c.id.in_(ids), due)
                .values(attempt=webhooks.c.attempt + 1, not_before=now() + _HELD_SECONDS, updated_at=now())
                .returning(webhooks)
            )
            return [dict(row) for row in rows.mappings()]

    async def _send(self, row: dict[str, Any]) -> None:
        status, error = await asyncio.get_running_loop().run_in_executor(_THREADS, self._post, row)
        values: dict[str, Any] = {"status": status, "error": error, "updated_at": now()}
        tries = int(row["attempt"])
        if error is None:
            values["state"] = WebhookState.DELIVERED.value
        elif status == _GONE or tries > len(self._schedule):
            values["state"] = WebhookState.DEAD.value
            log.warning("webhook dead", message=row["id"], job=row["job_id"], why=error)
        else:
            # Not every receiver that came back at the same moment is told at the same moment.
            wait = self._schedule[tries - 1] * (1 + secrets.randbelow(100) / 500)
            values["not_before"] = now() + wait
        async with self._database.write() as connection:
            await connection.execute(
                update(webhooks)
                .where(webhooks.c.id == row["id"], webhooks.c.attempt == tries)
                .values(**values)
            )

    def _post(self, row: dict[str, Any]) -> tuple[int | None, str | None]:
        """One try; blocking. The HTTP status, if there was one, and what went wrong, if something did."""
        assert self._signer is not None  # noqa: S101 - nothing is kept without one
        moment = datetime.now(UTC)
        body = str(row["payload"])
        headers = {
            "content-type": "application/json",
            "user-agent": "Scriba",
            "connection": "close",
            "webhook-id": str(row["id"]),
            "webhook-timestamp": str(int(moment.timestamp())),
            "webhook-signature": self._signer.sign(str(row["id"]), moment, body),
        }
        try:
            target = judge(str(row["url"]), self._private, self._look_up, field="webhook_url")
            with closing(connect(target, _TIMEOUT)) as connection:
                connection.request("POST", target.path, body.encode(), headers)
                with closing(connection.getresponse()) as answer:
                    status = answer.status
        except ScribaError as error:
            return None, error.message
        except (OSError, http.client.HTTPException) as error:
            return None, f"The receiver did not answer ({type(error).__name__})."
        # A redirect counts as a failure: Standard Webhooks forbids to follow it.
        return status, None if 200 <= status < 300 else f"The receiver answered {status}."


def _message(row: Any) -> WebhookMessage:
    fields = ("id", "job_id", "url", "attempt", "created_at", "status", "error")
    return WebhookMessage(state=WebhookState(row["state"]), **{name: row[name] for name in fields})
