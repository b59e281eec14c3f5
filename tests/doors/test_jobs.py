"""``/v1/jobs``: order, watch, fetch, stop."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from scriba.domain.job import JobState
from tests.doors.serving import client, services, until
from tests.jobs.doubles import FakeBatch
from tests.server.fakes import upload

TEXT = "window 0 window 1 window 2"


async def test_a_file_is_ordered_watched_and_fetched(tmp_path: Path) -> None:
    async with client(services(tmp_path, FakeBatch(seconds=0.1))) as http:
        answer = await http.post("/v1/jobs", files=upload(), data={"language": "english", "words": "true"})
        assert answer.status_code == 202
        job = answer.json()
        assert answer.headers["location"] == f"/v1/jobs/{job['id']}" == job["links"]["self"]
        assert job["status"] == "queued"
        assert (await http.get(job["links"]["result"])).status_code == 409
        done = await until(http, job["links"]["self"], "completed")
        assert done["progress"] == {
            "fraction": 1.0, "seconds_done": 30.0, "seconds_total": 30.0, "eta_seconds": None
        }  # fmt: skip
        assert done["queue_position"] is None
        assert (await http.get(job["links"]["result"])).json() == {"text": TEXT}
        srt = await http.get(job["links"]["result"], params={"format": "srt"})
        assert srt.headers["content-type"].startswith("application/x-subrip")
        assert srt.text.startswith("1\n00:00:00,000 --> 00:00:09,000\nwindow 0")
        verbose = (await http.get(job["links"]["result"], params={"format": "verbose_json"})).json()
        assert verbose["segments"][0]["text"].strip() == "window 0"
        refused = await http.get(job["links"]["result"], params={"format": "docx"})
        assert refused.status_code == 400
        assert refused.json()["error"]["param"] == "format"


async def test_events_tell_progress_segments_and_the_end(tmp_path: Path) -> None:
    async with client(services(tmp_path, FakeBatch(windows=4, seconds=0.3))) as http:
        job = (await http.post("/v1/jobs", files=upload())).json()
        live = await http.get(job["links"]["events"])
        late = await http.get(job["links"]["events"])
    for answer in (live, late):
        events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
        kinds = [event["type"] for event in events]
        assert kinds[-1] == "job.completed"
        texts = [event["segment"]["text"].strip() for event in events if event["type"] == "job.segment"]
        assert texts == [f"window {number}" for number in range(4)]
        assert events[-1]["job"]["status"] == "completed"
        if answer is live:
            # Segments came while it ran, not all at the end.
            assert "job.progress" in kinds[kinds.index("job.segment") :]
            shares = [
                event["job"]["progress"]["fraction"] for event in events if event["type"] == "job.progress"
            ]
            assert shares == sorted(shares)
            assert len(shares) > 2


async def test_a_stored_recording_is_ordered_again_by_its_id(tmp_path: Path) -> None:
    batch = FakeBatch()
    async with client(services(tmp_path, batch)) as http:
        first = (await http.post("/v1/jobs", files=upload())).json()
        await until(http, first["links"]["self"], "completed")
        same = await http.post("/v1/jobs", json={"media_id": first["media_id"]})
        assert same.status_code == 202
        # The same work: answered from its result, by a job of its own.
        assert same.json()["status"] == "completed"
        assert same.json()["id"] != first["id"]
        other = await http.post("/v1/jobs", json={"media_id": first["media_id"], "task": "translate"})
        await until(http, other.json()["links"]["self"], "completed")
        assert batch.heard == [0, 1, 2, 0, 1, 2]
        assert (await http.get(other.json()["links"]["result"])).json() == {"text": TEXT}
        assert (await http.post("/v1/jobs", json={"media_id": "nothing"})).status_code == 404


async def test_an_idempotency_key_orders_once(tmp_path: Path) -> None:
    async with client(services(tmp_path)) as http:
        key = {"Idempotency-Key": "abc"}
        answers = await asyncio.gather(
            *(http.post("/v1/jobs", files=upload(), headers=key) for _ in range(5))
        )
        assert len({answer.json()["id"] for answer in answers}) == 1
        assert sorted(answer.status_code for answer in answers) == [200] * 4 + [202]
        other = await http.post("/v1/jobs", files=upload(b"something else"), headers=key)
        assert other.status_code == 409
        assert other.json()["error"]["param"] == "Idempotency-Key"


@pytest.mark.parametrize("other", [{"priority": "5"}, {"beam_size": "2"}, {"kind": "vad"}])
async def test_nothing_of_another_order_with_the_same_key_is_passed_over(
    tmp_path: Path, other: dict[str, str]
) -> None:
    async with client(services(tmp_path)) as http:
        key = {"Idempotency-Key": "abc"}
        assert (await http.post("/v1/jobs", files=upload(), headers=key)).status_code == 202
        answer = await http.post("/v1/jobs", files=upload(), headers=key, data=other)
        assert answer.status_code == 409


async def test_a_model_that_nobody_knows_is_refused_at_once(tmp_path: Path) -> None:
    async with client(services(tmp_path)) as http:
        for answer in (
            await http.post("/v1/jobs", files=upload(), data={"model": "humongous"}),
            await http.post("/v1/jobs", json={"url": "http://127.0.0.1/", "model": "humongous"}),
        ):
            assert answer.status_code == 404
            assert answer.json()["error"]["param"] == "model"
            assert "'humongous'" in answer.json()["error"]["message"]
        assert (await http.get("/v1/jobs")).json()["data"] == []
        known = await http.post("/v1/jobs", files=upload(), data={"model": "large-v3"})
        assert known.status_code == 202


@pytest.mark.parametrize("path", ["/v1/jobs", "/model"])
@pytest.mark.parametrize(
    "body",
    [b"[" * 100_000, b'{"id": "\\ud800", "media_id": "\\ud800"}', b'{"id": "\xff"}', b"{"],
    ids=["deep", "half", "bytes", "open"],
)
async def test_what_is_no_json_is_the_clients_fault(tmp_path: Path, path: str, body: bytes) -> None:
    async with client(services(tmp_path)) as http:
        headers = {"content-type": "application/json"}
        answer = await http.post(path, content=body, headers=headers)
        assert answer.status_code == 400
        assert "not valid JSON" in answer.text


async def test_voice_activity(tmp_path: Path) -> None:
    async with client(services(tmp_path)) as http:
        job = (await http.post("/v1/jobs", files=upload(), data={"kind": "vad"})).json()
        await until(http, job["links"]["self"], "completed")
        result = await http.get(job["links"]["result"])
        assert result.json() == {"regions": [{"start": 0.0, "end": 1.0}]}
        assert (await http.get(job["links"]["result"], params={"format": "srt"})).status_code == 400


async def test_stopping_forgetting_and_trying_again(tmp_path: Path) -> None:
    batch = FakeBatch(seconds=30)
    async with client(services(tmp_path, batch, jobs={"slots": 1})) as http:
        job = (await http.post("/v1/jobs", files=upload())).json()
        while not batch.running:
            await asyncio.sleep(0.01)
        waiting = (await http.post("/v1/jobs", files=upload(b"another"))).json()
        assert waiting["queue_position"] == 0
        started = time.monotonic()
        stopped = await http.post(f"/v1/jobs/{job['id']}/cancel")
        assert stopped.json()["status"] == "cancelled"
        assert (await http.post(f"/v1/jobs/{job['id']}/cancel")).status_code == 409
        await until(http, waiting["links"]["self"], "running")
        assert time.monotonic() - started < 1
        assert (await http.delete(waiting["links"]["self"])).json()["deleted"] is True
        assert (await http.get(waiting["links"]["self"])).status_code == 404
        while batch.running:
            await asyncio.sleep(0.01)
        assert time.monotonic() - started < 2
        batch.seconds = 0
        again = await http.post(f"/v1/jobs/{job['id']}/retry")
        assert again.status_code == 202
        await until(http, job["links"]["self"], "completed")
        assert (await http.post(f"/v1/jobs/{job['id']}/retry")).status_code == 409


async def test_the_list_is_paged(tmp_path: Path) -> None:
    async with client(services(tmp_path, jobs={"worker": False})) as http:
        ids = [(await http.post("/v1/jobs", files=upload(str(n).encode()))).json()["id"] for n in range(5)]
        first = (await http.get("/v1/jobs", params={"limit": 3})).json()
        assert [job["id"] for job in first["data"]] == ids[:1:-1]
        assert first["has_more"] is True
        rest = (await http.get("/v1/jobs", params={"limit": 3, "after": ids[2]})).json()
        assert [job["id"] for job in rest["data"]] == ids[1::-1]
        assert rest["has_more"] is False
        assert (await http.get("/v1/jobs", params={"status": "failed"})).json()["data"] == []
        assert (await http.get("/v1/jobs", params={"status": "lost"})).status_code == 400
        assert (await http.get("/v1/jobs", params={"limit": 0})).status_code == 400
        shown = (await http.get(f"/v1/jobs/{ids[2]}")).json()
        assert shown["queue_position"] == 2


async def test_bad_media_is_a_failed_job_with_one_message(tmp_path: Path) -> None:
    async with client(services(tmp_path)) as http:
        job = (await http.post("/v1/jobs", files=upload(b"no media"))).json()
        failed = await until(http, job["links"]["self"], "failed")
        assert failed["error"] == {"code": "unsupported_media", "message": "The file is no recording."}
        assert (await http.get(job["links"]["result"])).status_code == 409


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"language": "klingon"}, "language"),
        ({"priority": "101"}, "priority"),
        ({"kind": "karaoke"}, "kind"),
        ({"kind": "vad", "prompt": "x"}, "prompt"),
        ({"speed": "2"}, "speed"),
        ({"threshold": "2"}, "threshold"),
        ({"media_id": "x"}, "file"),
        ({"webhook_url": "https://example.com"}, "webhook_url"),
    ],
)
async def test_a_wrong_order_is_refused_by_name(tmp_path: Path, data: dict[str, str], field: str) -> None:
    async with client(services(tmp_path)) as http:
        answer = await http.post("/v1/jobs", files=upload(), data=data)
        assert answer.status_code == 400
        assert answer.json()["error"]["param"] == field
        assert (await http.get("/v1/jobs")).json()["data"] == []


async def test_a_full_store_says_so(tmp_path: Path) -> None:
    async with client(services(tmp_path, store={"quota_mb": 1})) as http:
        answer = await http.post("/v1/jobs", files=upload(b"x" * 1_000_001))
        assert answer.status_code == 507
        assert "1,000,000" in answer.json()["error"]["message"]


async def test_jobs_of_a_database_that_is_gone_are_unavailable(tmp_path: Path) -> None:
    made = services(tmp_path)
    assert made.jobs is not None
    async with client(made) as http:
        job = (await http.post("/v1/jobs", files=upload())).json()
        await until(http, job["links"]["self"], "completed")
        assert (await made.jobs.service.get(job["id"])).state is JobState.COMPLETED


class _Site(BaseHTTPRequestHandler):
    paths: dict[str, tuple[int, dict[str, str], bytes]] = {}  # noqa: RUF012

    def do_GET(self) -> None:
        if self.path == "/endless":
            self.send_response(200)
            self.end_headers()
            try:
                while True:
                    self.wfile.write(b"x" * 100_000)
            except OSError:
                return
        status, headers, body = self.paths.get(self.path, (404, {}, b""))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def site() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    host = f"127.0.0.1:{server.server_port}"
    _Site.paths = {
        "/talks/talk%20one.wav": (200, {"content-length": "10"}, b"RIFF sound"),
        "/moved": (302, {"location": "/talks/talk%20one.wav"}, b""),
        "/inside": (302, {"location": "http://169.254.169.254/latest/meta-data"}, b""),
        "/file": (302, {"location": "file:///etc/passwd"}, b""),
        "/round": (302, {"location": "/round"}, b""),
        "/empty": (200, {"content-length": "0"}, b""),
        "/short": (200, {"content-length": "100"}, b"RIFF"),
    }
    yield f"http://{host}"
    server.shutdown()
    server.server_close()


async def test_a_recording_is_fetched_by_url(tmp_path: Path, site: str) -> None:
    made = services(tmp_path, private_hosts=[site.removeprefix("http://")])
    async with client(made) as http:
        for path in ("/talks/talk%20one.wav", "/moved"):
            answer = await http.post("/v1/jobs", json={"url": site + path})
            assert answer.status_code == 202
            job = await until(http, answer.json()["links"]["self"], "completed")
        assert made.jobs is not None
        assert (await made.jobs.service.media.get(job["media_id"])).name == "talk one.wav"


async def test_an_order_by_url_is_repeated_without_fetching_again(tmp_path: Path, site: str) -> None:
    async with client(services(tmp_path, private_hosts=[site.removeprefix("http://")])) as http:
        key = {"Idempotency-Key": "abc"}
        order = {"url": f"{site}/talks/talk%20one.wav", "language": "en"}
        first = await http.post("/v1/jobs", json=order, headers=key)
        assert first.status_code == 202
        _Site.paths.clear()  # an address that opened once
        again = await http.post("/v1/jobs", json=order, headers=key)
        assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])
        for other in ({"url": f"{site}/other.wav"}, {"language": "de"}, {"priority": 1}):
            answer = await http.post("/v1/jobs", json=order | other, headers=key)
            assert (answer.status_code, answer.json()["error"]["param"]) == (409, "Idempotency-Key")


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/inside", "address_refused"),
        ("/file", "address_refused"),
        ("/round", "fetch_failed"),
        ("/short", "fetch_failed"),
        ("/nothing", "fetch_failed"),
        ("/endless", "media_too_large"),
        ("/empty", "empty_media"),
    ],
)
async def test_what_must_not_be_fetched_is_not(tmp_path: Path, site: str, path: str, code: str) -> None:
    made = services(tmp_path, private_hosts=[site.removeprefix("http://")], max_upload_mb=2)
    async with client(made) as http:
        answer = await http.post("/v1/jobs", json={"url": site + path})
        assert answer.json()["error"]["code"] == code
        assert answer.json()["error"]["param"] == "url"
        assert list((tmp_path / "data" / "spool").iterdir()) == []


async def test_an_address_inside_is_refused_unless_it_is_allowed(tmp_path: Path, site: str) -> None:
    async with client(services(tmp_path)) as http:
        answer = await http.post("/v1/jobs", json={"url": site + "/talks/talk%20one.wav"})
        assert answer.status_code == 400
        assert answer.json()["error"]["code"] == "address_refused"
