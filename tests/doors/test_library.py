"""The library interface, as its clients use it."""

from __future__ import annotations

import asyncio
import hashlib
import time
import uuid
from pathlib import Path

import httpx
import pytest

from scriba.domain.options import DecodingOptions, TranscribeOptions
from scriba.jobs.service import Order
from tests.doors.serving import client, services
from tests.jobs.doubles import FakeBatch
from tests.speech import beckett, two_cities

TEXT = "window 0 window 1 window 2"


async def put(
    http: httpx.AsyncClient, path: Path, name: str = "talk.wav", url: str = "/upload"
) -> httpx.Response:
    return await http.post(url, files={"file": (name, path.read_bytes(), "video/mp4")})


@pytest.mark.parametrize("prefix", ["", "/api"])
async def test_from_upload_to_captions(tmp_path: Path, prefix: str) -> None:
    async with client(services(tmp_path)) as http:
        assert (await http.get(f"{prefix}/uploads")).json() == []
        answer = await put(http, beckett(), url=f"{prefix}/upload")
        assert answer.status_code == 200
        uploaded = answer.json()
        assert uploaded["location"] == f"db/{uploaded['id']}/talk.wav"
        assert uploaded["size"] == pytest.approx(beckett().stat().st_size / 1e6, abs=1e-3)
        assert (uploaded["model_ran"], "time" in uploaded) == (False, False)
        assert uploaded["upload_date"].endswith("+00:00")
        assert (await http.get(f"{prefix}/results/{uploaded['id']}")).status_code == 404
        order = {"file": uploaded["location"], "id": uploaded["id"]}
        ran = (await http.post(f"{prefix}/model", json=order)).json()
        assert (ran["model_ran"], ran["model"]) == (True, "base")
        assert ran["time"] >= 0
        assert ran["model_date"] > ran["upload_date"]
        assert (await http.get(f"{prefix}/uploads")).json() == [ran]
        found = (await http.get(f"{prefix}/results/{uploaded['id']}")).json()
        assert found["filename"] == "talk.wav"
        assert found["results"]["result"]["text"] == TEXT
        assert found["results"]["result"]["chunks"][0] == {"timestamp": [0.0, 9.0], "text": "window 0"}
        assert (await http.get(found["video_url"])).content == beckett().read_bytes()
        captions = await http.get(found["srt_url"])
        assert captions.headers["content-type"].startswith("text/vtt")
        assert captions.text.startswith("WEBVTT")
        srt = await http.get(found["srt_url"], params={"format": "srt"})
        assert srt.text.startswith("1\n00:00:00,000")
        assert (await http.get(found["srt_url"], params={"format": "docx"})).status_code == 422


async def test_the_same_content_is_told_by_its_id(tmp_path: Path) -> None:
    async with client(services(tmp_path)) as http:
        first = (await put(http, beckett())).json()
        again = await put(http, beckett(), name="other.wav")
        assert (again.status_code, again.json()["id"]) == (409, first["id"])
        assert len((await http.get("/uploads")).json()) == 1


async def test_what_a_job_brought_is_not_in_the_library_until_it_is_uploaded(tmp_path: Path) -> None:
    async with client(services(tmp_path)) as http:
        files = {"file": ("a.wav", beckett().read_bytes())}
        job = (await http.post("/v1/jobs", files=files)).json()
        assert (await http.get("/uploads")).json() == []
        assert (await http.get(f"/{job['media_id']}/a.wav")).status_code == 404
        uploaded = (await put(http, beckett(), name="../talks/my talk.wav")).json()
        # Under the name that the library was given, whoever brought the bytes before.
        assert (uploaded["id"], uploaded["location"]) == (
            job["media_id"],
            f"db/{job['media_id']}/my talk.wav",
        )
        assert (await http.get(f"/{uploaded['id']}/my talk.wav")).content == beckett().read_bytes()


@pytest.mark.parametrize(
    ("data", "status"), [(b"", 400), (b"this is no recording at all" * 100, 415), (b"x" * 2_000_001, 413)]
)
async def test_what_is_not_taken(tmp_path: Path, data: bytes, status: int) -> None:
    async with client(services(tmp_path, max_upload_mb=2)) as http:
        answer = await http.post("/upload", files={"file": ("a.mp4", data)})
        assert answer.status_code == status
        assert (await http.get("/uploads")).json() == []
        assert [path for path in (tmp_path / "data" / "blobs").rglob("*") if path.is_file()] == []


async def test_no_file_is_400(tmp_path: Path) -> None:
    async with client(services(tmp_path)) as http:
        assert (await http.post("/upload", files={"other": b"x"})).status_code == 400


async def test_a_run_is_not_queued_twice_and_need_not_be_waited_for(tmp_path: Path) -> None:
    async with client(services(tmp_path, FakeBatch(seconds=0.3))) as http:
        one = (await put(http, beckett())).json()
        for order in ("?wait=false", ""):
            headers = {} if order else {"Prefer": "respond-async"}
            answer = await http.post(f"/model{order}", json={"id": one["id"]}, headers=headers)
            if order:
                assert answer.status_code == 202
                assert answer.json()["model_ran"] is False
            else:
                assert (answer.status_code, answer.json()) == (409, {"detail": "Already in queue"})
        end = time.monotonic() + 10
        while (await http.get(f"/results/{one['id']}")).status_code != 200:
            assert time.monotonic() < end
            await asyncio.sleep(0.02)


async def test_a_later_run_that_has_not_ended_or_failed_hides_no_result(tmp_path: Path) -> None:
    batch = FakeBatch()
    made = services(tmp_path, batch)
    assert made.jobs is not None
    async with client(made) as http:
        one = (await put(http, beckett())).json()
        ran = (await http.post("/model", json={"id": one["id"]})).json()
        batch.seconds = 30
        # As after the server's defaults were changed.
        other = TranscribeOptions(decoding=DecodingOptions(beam_size=2))
        job, _ = await made.jobs.service.submit(Order("library", one["id"], other))
        for _ in range(2):
            found = await http.get(f"/results/{one['id']}")
            assert found.json()["results"]["result"]["text"] == TEXT
            assert (await http.get(f"/api/srt/{one['id']}")).status_code == 200
            assert (await http.get("/uploads")).json() == [ran]
            if not (await made.jobs.service.get(job.id)).state.finished:
                await made.jobs.service.cancel(job.id)


async def test_a_wait_that_is_neither_is_refused_before_anything_is_ordered(tmp_path: Path) -> None:
    async with client(services(tmp_path)) as http:
        one = (await put(http, beckett())).json()
        answer = await http.post("/model?wait=perhaps", json={"id": one["id"]})
        assert answer.status_code == 422
        assert answer.json() == {"detail": "wait must be true or false, not 'perhaps'."}
        assert (await http.get("/uploads")).json() == [one]


async def test_an_upload_of_nothing_at_all(tmp_path: Path) -> None:
    async with client(services(tmp_path)) as http:
        assert (await http.post("/upload")).status_code == 400
        assert (await http.post("/upload", json={})).status_code == 415


async def test_a_run_that_fails_says_why(tmp_path: Path) -> None:
    batch = FakeBatch()
    from scriba.domain.errors import MediaTooLargeError

    batch.faults = [(0, MediaTooLargeError("The recording is too long."))]
    async with client(services(tmp_path, batch)) as http:
        one = (await put(http, beckett())).json()
        answer = await http.post("/model", json={"id": one["id"]})
        assert (answer.status_code, answer.json()["detail"]) == (413, "The recording is too long.")


async def test_the_id_finds_the_file_and_nothing_else_does(tmp_path: Path) -> None:
    async with client(services(tmp_path)) as http:
        one = (await put(http, beckett())).json()
        two = (await put(http, two_cities(), name="two.wav")).json()
        for file in ("/etc/passwd", two["location"], "two.wav", "../talk.wav", "db/x/talk.wav"):
            assert (await http.post("/model", json={"id": one["id"], "file": file})).status_code == 400, file
        assert (await http.post("/model", json={"id": str(uuid.uuid4())})).status_code == 404
        assert (await http.post("/model", json={})).status_code == 400
        assert (await http.post("/model", content=b"{")).status_code == 400
        form = await http.post("/model", data={"id": one["id"], "file": "talk.wav"})
        assert form.json()["model_ran"] is True
        multipart = await http.post("/model", files={"id": (None, two["id"])})
        assert multipart.json()["model_ran"] is True


async def test_a_recording_is_sent_in_ranges(tmp_path: Path) -> None:
    data = beckett().read_bytes()
    size = len(data)
    async with client(services(tmp_path)) as http:
        one = (await put(http, beckett(), name="über talk.wav")).json()
        path = f"/{one['id']}/über talk.wav"
        whole = await http.get(path)
        assert (whole.status_code, whole.content) == (200, data)
        assert whole.headers["content-type"] == "audio/wav"
        assert whole.headers["content-disposition"].startswith("inline")
        assert whole.headers["etag"] == f'"{hashlib.sha256(data).hexdigest()}"'
        head = await http.head(path)
        assert (head.headers["content-length"], head.content) == (str(size), b"")
        for asked, start, end in (
            ("bytes=0-99", 0, 100),
            ("bytes=100-", 100, size),
            ("bytes=-50", size - 50, size),
            (f"bytes={size - 1}-{size + 9}", size - 1, size),
        ):
            part = await http.get(path, headers={"Range": asked})
            assert (part.status_code, part.content) == (206, data[start:end]), asked
            assert part.headers["content-range"] == f"bytes {start}-{end - 1}/{size}"
        for asked in (f"bytes={size}-", "bytes=-0", "bytes=9-3"):
            none = await http.get(path, headers={"Range": asked})
            assert none.status_code == 416, asked
        for asked in ("bytes=-", "lines=1-2", "bytes=1-2,4-5"):
            assert (await http.get(path, headers={"Range": asked})).status_code == 200, asked
        same = await http.get(path, headers={"If-None-Match": whole.headers["etag"]})
        assert (same.status_code, same.content) == (304, b"")
        changed = await http.get(path, headers={"Range": "bytes=0-1", "If-Range": '"other"'})
        assert changed.status_code == 200


async def test_no_path_but_an_ids_own_name_is_served(tmp_path: Path) -> None:
    async with client(services(tmp_path)) as http:
        one = (await put(http, beckett(), name="../../secret.wav")).json()
        assert one["location"] == f"db/{one['id']}/secret.wav"
        assert (await http.get(f"/{one['id']}/secret.wav")).status_code == 200
        for path in (
            f"/{one['id']}/other.wav",
            f"/{one['id']}/..%2F..%2Fetc%2Fpasswd",
            f"/{uuid.uuid4()}/secret.wav",
            "/etc/passwd",
            "/db/scriba.db",
            f"/{one['id']}",
        ):
            assert (await http.get(path)).status_code == 404, path


async def test_no_other_route_is_swallowed(tmp_path: Path) -> None:
    async with client(services(tmp_path)) as http:
        assert (await http.get("/v1/models")).status_code == 200
        assert (await http.get("/task/all")).status_code == 200
        assert (await http.get("/static/nothing.js")).status_code == 404
        assert (await http.post("/no/where")).status_code == 404
