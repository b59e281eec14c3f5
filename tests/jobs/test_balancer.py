"""``deploy/nginx.conf`` at work: two fronts and two workers behind it, PostgreSQL, a bucket, real speech."""

from __future__ import annotations

import base64
import json
import time
from collections import Counter
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

from tests.nginx import balancer
from tests.postgres import PostgresServer
from tests.processes import Server, order, recordings, result, until_all, worker
from tests.speech import beckett

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
TUS = {"Tus-Resumable": "1.0.0"}


def test_clients_see_one_server(tmp_path: Path, postgres: PostgresServer, bucket: dict[str, str]) -> None:
    shared = bucket | {"DB_URL": postgres.create_database(), "SCRIBA_TRUSTED_PROXIES": "127.0.0.1"}
    with (
        Server(tmp_path / "web1", "--no-worker", **shared) as one,
        Server(tmp_path / "web2", "--no-worker", **shared) as two,
        balancer(tmp_path / "nginx", [one.port, two.port]) as address,
        worker(tmp_path / "worker1", "--slots", "1", **shared) as first,
        worker(tmp_path / "worker2", "--slots", "1", **shared) as second,
        httpx.Client(base_url=address, timeout=60) as http,
    ):
        files = recordings(tmp_path / "speech", 8)
        ids = [order(http, path) for path in files]
        events_are_not_held_back(http, ids[-1])
        until_all(http, len(ids), "completed", seconds=120)
        assert all(result(http, identifier)["text"] for identifier in ids)
        assert '"job ended"' in first.log
        assert '"job ended"' in second.log
        served = Counter(front.log.count('"/v1/jobs') > 2 for front in (one, two))
        assert served[True] == 2, served

        an_upload_in_parts(http, address, files[0].read_bytes() + b"more")
        a_websocket(address)
        nothing_was_spooled(tmp_path / "nginx")

        # A front that dies takes nothing with it.
        one.kill()
        late = order(http, files[1], language="en")
        until_all(http, len(ids) + 2, "completed", seconds=60)
        assert result(http, late)["text"]
        for _ in range(10):
            assert http.get("/health").status_code == 200


def events_are_not_held_back(http: httpx.Client, identifier: str) -> None:
    """Events arrive while the job runs, not when the stream ends."""
    early, kinds = False, []
    with http.stream("GET", f"/v1/jobs/{identifier}/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        for line in stream.iter_lines():
            if line.startswith("data: "):
                kinds.append(json.loads(line[6:])["type"])
                if not early:
                    early = http.get(f"/v1/jobs/{identifier}").json()["status"] in ("queued", "running")
    assert early
    assert "job.segment" in kinds
    assert kinds[-1] == "job.completed"


def an_upload_in_parts(http: httpx.Client, address: str, data: bytes) -> None:
    name = base64.b64encode(b"talk.wav").decode()
    meta = {"Upload-Length": str(len(data)), "Upload-Metadata": f"filename {name}"}
    url = http.post("/v1/uploads", headers=TUS | meta).headers["location"]
    assert url.startswith(("/", address)), url
    part = TUS | {"Content-Type": "application/offset+octet-stream"}
    for start, end in ((0, len(data) // 2), (len(data) // 2, len(data))):
        answer = http.patch(url, headers=part | {"Upload-Offset": str(start)}, content=data[start:end])
        assert answer.status_code == 204, answer.text
    job = http.post("/v1/jobs", json={"media_id": answer.headers["x-media-id"]})
    assert job.status_code == 202
    end_at = time.monotonic() + 60
    while http.get(job.headers["location"]).json()["status"] != "completed":
        assert time.monotonic() < end_at
        time.sleep(0.2)


def a_websocket(address: str) -> None:
    """A short recording over ``/ws``; the front transcribes it itself."""
    with connect(address.replace("http", "ws") + "/ws", open_timeout=20) as socket:
        socket.send(json.dumps({"xId": "7"}))
        assert json.loads(socket.recv(20))["xId"] == "7"
        socket.send(beckett().read_bytes())
        while "event" not in (message := json.loads(socket.recv(60))):
            pass
        assert message["event"] == "transcription"
        assert "".join(part["text"] for part in message["transcripts"]).strip()


def nothing_was_spooled(folder: Path) -> None:
    """Uploads of megabytes went through without being written down on the way."""
    assert [path for path in (folder / "client_body").rglob("*") if path.is_file()] == []
    assert "buffered to a temporary file" not in (folder / "error.log").read_text()
