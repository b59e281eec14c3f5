"""Webhooks: signed, tried again, put aside when nothing helps, sent again when a person asks."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from scriba.domain.errors import AddressRefusedError, ConflictError, NotFoundError
from scriba.domain.job import Job, JobState
from scriba.jobs.outbox import WebhookState
from scriba.jobs.statements import Hold
from scriba.jobs.webhooks import Webhooks
from tests.doors.serving import client, services, until
from tests.jobs.doubles import FakeBatch, submit
from tests.server.fakes import upload
from tests.stores import Stores

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Receiver:
    """A server that keeps what it is sent and answers what it is told to, then 204."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.got: list[tuple[dict[str, str], bytes]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.got.append(({k.lower(): v for k, v in self.headers.items()}, body))
                status = receiver.answers.pop(0) if receiver.answers else 204
                self.send_response(status)
                if status == 302:
                    self.send_header("location", "/elsewhere")
                self.end_headers()

            def log_message(self, *_: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://{self.host}/hook?a=b"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.server.shutdown()
    made.server.server_close()


async def settled(webhooks: Webhooks, job_id: str, tries: int = 400) -> WebhookState:
    for _ in range(tries):
        await webhooks.send_due()
        (message,) = await webhooks.messages(job_id)
        if message.state is not WebhookState.PENDING:
            return message.state
        await asyncio.sleep(0.01)
    return WebhookState.PENDING


async def ended(stores: Stores, url: str) -> Any:
    job = await submit(stores, webhook_url=url)
    return await stores.jobs.cancel(job.id)


async def test_a_message_is_signed_and_sent_once(stores: Stores, receiver: Receiver) -> None:
    webhooks = Webhooks(stores.database, SECRET, frozenset({receiver.host}))
    job = await ended(stores, receiver.url)
    assert await settled(webhooks, job.id) is WebhookState.DELIVERED
    assert await webhooks.send_due() == 0
    ((headers, body),) = receiver.got
    told = Webhook(SECRET).verify(body, headers)
    assert told == json.loads(body)
    assert told["type"] == "job.cancelled"
    assert told["data"]["id"] == job.id
    other = Webhook("whsec_" + "A" * 32)
    with pytest.raises(WebhookVerificationError):
        other.verify(body, headers)


async def test_a_message_is_kept_with_the_end_itself(stores: Stores) -> None:
    """However a job ends: a process that dies the next moment leaves nobody untold."""
    url = "https://receiver.example/hook"
    webhooks = Webhooks(stores.database, SECRET)

    async def told(job: Job) -> list[str]:
        return [message.id for message in await webhooks.messages(job.id)]

    done = await submit(stores, webhook_url=url)
    held = await stores.jobs.claim(done.id, "worker", 60)
    assert held is not None
    assert await told(done) == []
    await stores.jobs.fail(Hold(done.id, "worker", 1), "bad", "It is bad.", 0.0)
    assert len(await told(done)) == 1
    lost = await submit(stores, webhook_url=url, max_attempts=1)
    assert await stores.jobs.claim(lost.id, "dead", -1.0) is not None
    await stores.jobs.recover()
    assert len(await told(lost)) == 1
    await stores.jobs.requeue(lost.id)
    await stores.jobs.cancel(lost.id)
    assert len(await told(lost)) == 2
    assert await told(await submit(stores)) == []


async def test_a_failed_try_is_followed_by_others(stores: Stores, receiver: Receiver) -> None:
    receiver.answers = [500, 302, 404]
    webhooks = Webhooks(stores.database, SECRET, frozenset({receiver.host}), schedule=(0.05, 0.05, 0.05))
    job = await ended(stores, receiver.url)
    assert await settled(webhooks, job.id) is WebhookState.DELIVERED
    assert len(receiver.got) == 4  # the redirect was not followed
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1


async def test_what_never_arrives_is_put_aside_and_sent_again_on_request(
    stores: Stores, receiver: Receiver
) -> None:
    receiver.answers = [500, 500, 500]
    webhooks = Webhooks(stores.database, SECRET, frozenset({receiver.host}), schedule=(0.01, 0.01))
    job = await ended(stores, receiver.url)
    assert await settled(webhooks, job.id) is WebhookState.DEAD
    (dead,) = await webhooks.messages(job.id)
    assert (dead.attempt, dead.status, dead.error) == (3, 500, "The receiver answered 500.")
    again = await webhooks.resend(dead.id)
    assert (again.state, again.attempt) == (WebhookState.PENDING, 0)
    with pytest.raises(ConflictError):
        await webhooks.resend(dead.id)
    assert await settled(webhooks, job.id) is WebhookState.DELIVERED
    with pytest.raises(NotFoundError):
        await webhooks.resend("nothing")


async def test_gone_means_gone(stores: Stores, receiver: Receiver) -> None:
    receiver.answers = [410]
    webhooks = Webhooks(stores.database, SECRET, frozenset({receiver.host}))
    job = await ended(stores, receiver.url)
    assert await settled(webhooks, job.id) is WebhookState.DEAD


async def test_two_senders_send_once(stores: Stores, receiver: Receiver) -> None:
    first = Webhooks(stores.database, SECRET, frozenset({receiver.host}))
    second = Webhooks(stores.database, SECRET, frozenset({receiver.host}))
    for _ in range(5):
        await ended(stores, receiver.url)
    for _ in range(3):
        await asyncio.gather(first.send_due(), second.send_due())
    assert len(receiver.got) == 5


async def test_an_address_inside_is_not_told(stores: Stores, receiver: Receiver) -> None:
    webhooks = Webhooks(stores.database, SECRET)
    with pytest.raises(AddressRefusedError, match="webhook_url"):
        await webhooks.check(receiver.url)
    await ended(stores, receiver.url)  # it was outside then, and is inside now
    await webhooks.send_due()
    assert receiver.got == []


async def test_a_job_tells_when_it_has_ended(tmp_path: Path, receiver: Receiver) -> None:
    made = services(tmp_path, FakeBatch(), webhook_secret=SECRET, private_hosts=[receiver.host])
    async with client(made) as http:
        data = {"webhook_url": receiver.url}
        job = (await http.post("/v1/jobs", files=upload(), data=data)).json()
        await until(http, job["links"]["self"], JobState.COMPLETED.value)
        for _ in range(300):
            (told,) = (await http.get(f"/v1/jobs/{job['id']}/webhooks")).json()["data"]
            if told["status"] == "delivered":
                break
            await asyncio.sleep(0.01)
        assert (told["status"], told["http_status"], told["attempt"]) == ("delivered", 204, 1)
        again = await http.post(f"/v1/jobs/{job['id']}/webhooks/{told['id']}/resend")
        assert again.status_code == 202
    assert json.loads(receiver.got[0][1])["type"] == "job.completed"
