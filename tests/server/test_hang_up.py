"""A client that goes away takes its work, its file and its place with it. Real sockets, a real server."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.server.fakes import FakeTranscriber, Serving, services, upload, wait_for

BODY = (
    b'--xyz\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\nRIFF sound\r\n'
    b'--xyz\r\nContent-Disposition: form-data; name="stream"\r\n\r\n%s\r\n--xyz--\r\n'
)


@pytest.fixture
def fake() -> FakeTranscriber:
    return FakeTranscriber(seconds=0.3, texts=["again and again"] * 100)


@pytest.fixture
def serving(tmp_path: Path, fake: FakeTranscriber) -> Iterator[Serving]:
    with Serving(services(tmp_path, fake, max_concurrent=1, max_queued=1)) as running:
        yield running


def call(serving: Serving, path: str, body: bytes, length: int | None = None) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", serving.port), timeout=5)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=xyz\r\n"
        f"Content-Length: {len(body) if length is None else length}\r\n\r\n"
    )
    connection.sendall(head.encode() + body)
    return connection


def spooled(serving: Serving) -> list[str]:
    """Files of the spool folder that this process has open, deleted ones too."""
    folder = str(serving.services.settings.spool_dir)
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            target = str(entry.readlink())
        except FileNotFoundError:
            continue
        if target.startswith(folder):
            found.append(target)
    return found


@pytest.mark.parametrize("stream", [b"false", b"true"])
def test_work_is_cancelled_within_a_second(serving: Serving, fake: FakeTranscriber, stream: bytes) -> None:
    connection = call(serving, "/v1/audio/transcriptions", BODY % stream)
    wait_for(lambda: fake.running == 1)
    if stream == b"true":
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")
    assert len(spooled(serving)) == 1
    assert list(serving.services.settings.spool_dir.iterdir()) == []
    connection.close()
    begun = time.monotonic()
    wait_for(lambda: fake.running == 0)
    assert time.monotonic() - begun < 1
    wait_for(lambda: spooled(serving) == [])
    assert fake.cancelled == 1
    # The place is free again: both there are can be had.
    fake.seconds = 0
    with httpx.Client(base_url=serving.url) as http:
        assert http.post("/transcribe", files=upload()).status_code == 200


def test_who_waits_in_the_queue_may_go_too(serving: Serving, fake: FakeTranscriber) -> None:
    body = BODY.replace(b"stream", b"language") % b"en"
    first = call(serving, "/transcribe", body)
    wait_for(lambda: fake.running == 1)
    second = call(serving, "/transcribe", body)
    wait_for(lambda: len(spooled(serving)) == 2)
    with httpx.Client(base_url=serving.url) as http:
        full = http.post("/transcribe", files=upload())
        assert full.status_code == 503
        assert int(full.headers["retry-after"]) >= 1
    second.close()
    wait_for(lambda: len(spooled(serving)) == 1)
    first.close()
    wait_for(lambda: spooled(serving) == [])
    assert len(fake.calls) == 1


def test_an_upload_that_breaks_off_leaves_nothing(serving: Serving, fake: FakeTranscriber) -> None:
    connection = call(serving, "/transcribe", BODY[:80] + b"x" * 3_000_000, length=9_000_000)
    wait_for(lambda: len(spooled(serving)) == 1)
    connection.close()
    wait_for(lambda: spooled(serving) == [])
    assert fake.calls == []


def test_files_are_gone_after_success_and_failure(serving: Serving, fake: FakeTranscriber) -> None:
    fake.seconds = 0
    with httpx.Client(base_url=serving.url) as http:
        assert http.post("/transcribe", files=upload(b"x" * 3_000_000)).status_code == 200
        fake.error = RuntimeError("broken")
        assert http.post("/transcribe", files=upload(b"x" * 3_000_000)).status_code == 500
    assert spooled(serving) == []


def test_shutting_down_ends_running_work(tmp_path: Path) -> None:
    fake = FakeTranscriber(seconds=60)
    with Serving(services(tmp_path, fake)) as serving:
        connection = call(serving, "/transcribe", BODY.replace(b"stream", b"language") % b"en")
        wait_for(lambda: fake.running == 1)
        serving.app.state.stopping.set()
        serving.server.should_exit = True
        answer = b""
        while part := connection.recv(10_000):
            answer += part
        assert answer.startswith(b"HTTP/1.1 503")
        assert b"shutting down" in answer
        connection.close()
    assert fake.cancelled == 1
