"""What holds for every route: ids, keys, origins, shapes of errors, limits, and that health never waits."""

from __future__ import annotations

import asyncio
import json
import statistics
import threading
import time
from pathlib import Path

import httpx
import pytest

from scriba import __version__
from scriba.domain.cancel import CancelToken
from scriba.domain.errors import ModelUnavailableError
from scriba.server.app import create_app
from scriba.server.logs import configure_logging
from scriba.server.replies import is_openai, route_path
from scriba.server.settings import LogFormat, LogLevel
from tests.server.fakes import KEY, SPOKEN, FakeTranscriber, Serving, client, services, upload, wait_for


async def test_about_the_server(tmp_path: Path) -> None:
    async with client(services(tmp_path)) as http:
        assert (await http.get("/health")).json() == {"status": "ok"}
        assert (await http.head("/health")).status_code == 200
        assert (await http.get("/version")).json() == {"name": "scriba", "version": __version__}
        assert (await http.get("/load")).status_code == 404  # nothing here has a device
        root = await http.get("/")
    assert (root.status_code, root.headers["location"]) == (307, "/redoc")


async def test_ready_says_why_not(tmp_path: Path) -> None:
    may_load = threading.Event()

    def warm(cancel: CancelToken) -> str:
        may_load.wait(10)
        return "tiny.en"

    async with client(services(tmp_path, warm=warm)) as http:
        waiting = await http.get("/ready")
        assert (waiting.status_code, waiting.json()["reason"]) == (503, "The model is being loaded.")
        assert (await http.get("/health")).status_code == 200
        may_load.set()
        for _ in range(100):
            ready = await http.get("/ready")
            if ready.status_code == 200:
                break
            await asyncio.sleep(0.02)
    assert ready.json() == {"status": "ready", "model": "tiny.en", "reason": None}


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ModelUnavailableError("Nothing can be fetched."), "Nothing can be fetched."),
        (RuntimeError("/secret/place"), "The model could not be loaded; the log has the cause."),
    ],
)
async def test_a_model_that_cannot_be_had_is_told(tmp_path: Path, error: Exception, reason: str) -> None:
    def warm(cancel: CancelToken) -> str:
        raise error

    async with client(services(tmp_path, warm=warm)) as http:
        for _ in range(100):
            reply = await http.get("/ready")
            if reply.json()["reason"] == reason:
                break
            await asyncio.sleep(0.02)
    assert (reply.status_code, reply.json()["reason"]) == (503, reason)


async def test_shutting_down_stops_the_loading(tmp_path: Path) -> None:
    stopped = []

    def warm(cancel: CancelToken) -> str:
        stopped.append(cancel.wait(10))
        cancel.check()
        return "never"

    begun = time.monotonic()
    async with client(services(tmp_path, warm=warm)):
        pass
    assert stopped == [True]
    assert time.monotonic() - begun < 2


async def test_every_answer_has_an_id(tmp_path: Path) -> None:
    async with client(services(tmp_path)) as http:
        own = await http.get("/health", headers={"x-request-id": "job-7.a_b"})
        made = await http.get("/health")
        forged = await http.get("/health", headers={"x-request-id": "a b\tc"})
        missing = await http.get("/nothing")
    assert own.headers["x-request-id"] == "job-7.a_b"
    assert len(made.headers["x-request-id"]) == 32
    assert forged.headers["x-request-id"] != "a b\tc"
    assert missing.headers["x-request-id"]


async def test_the_framework_s_own_errors_take_the_doors_shape(tmp_path: Path) -> None:
    async with client(services(tmp_path)) as http:
        ours = await http.get("/nothing")
        theirs = await http.get("/v1/nothing")
        method = await http.delete("/v1/audio/transcriptions")
    assert ours.status_code == theirs.status_code == 404
    assert set(ours.json()) == {"detail"}
    assert theirs.json()["error"]["type"] == "invalid_request_error"
    assert (method.status_code, method.headers["allow"]) == (405, "POST")
    assert "DELETE" in method.json()["error"]["message"]


async def test_keys(tmp_path: Path) -> None:
    async with client(services(tmp_path, api_keys=(KEY, "another-good-key"))) as http:
        for path in ("/health", "/ready", "/version", "/docs", "/redoc", "/openapi.json"):
            assert (await http.get(path)).status_code in (200, 503), path
        assert (await http.get("/static/redoc.css")).status_code == 200
        nothing = await http.post("/transcribe", files=upload())
        wrong = await http.get("/v1/models", headers={"authorization": "Bearer " + KEY + "x"})
        basic = await http.get("/v1/models", headers={"authorization": "Basic " + KEY})
        right = await http.get("/v1/models", headers={"authorization": "bearer another-good-key"})
        document = (await http.get("/openapi.json")).json()
    assert (nothing.status_code, set(nothing.json())) == (401, {"detail"})
    assert nothing.headers["www-authenticate"] == "Bearer"
    assert wrong.json()["error"]["code"] == "invalid_api_key"
    assert (wrong.status_code, basic.status_code, right.status_code) == (401, 401, 200)
    assert document["paths"]["/transcribe"]["post"]["security"] == [{"key": []}]
    assert "security" not in document["paths"]["/health"]["get"]


async def test_origins(tmp_path: Path) -> None:
    made = services(tmp_path, api_keys=(KEY,), cors_origins=("https://app.example",))
    asking = {"access-control-request-method": "POST", "access-control-request-headers": "authorization"}
    async with client(made) as http:
        friend = await http.options("/transcribe", headers={"origin": "https://app.example", **asking})
        stranger = await http.options("/transcribe", headers={"origin": "https://evil.example", **asking})
        refused = await http.get("/v1/models", headers={"origin": "https://app.example"})
    assert friend.status_code == 200
    assert friend.headers["access-control-allow-origin"] == "https://app.example"
    assert "access-control-allow-origin" not in stranger.headers
    assert refused.headers["access-control-allow-origin"] == "https://app.example"


async def test_an_upload_over_the_limit_is_413_in_the_doors_shape(tmp_path: Path) -> None:
    fake = FakeTranscriber()
    async with client(services(tmp_path, fake, max_upload_mb=1)) as http:
        ours = await http.post("/transcribe", files=upload(b"x" * 1_000_001))
        theirs = await http.post("/v1/audio/transcriptions", files=upload(b"x" * 4_000_000))
        fits = await http.post("/transcribe", files=upload(b"x" * 1_000_000))
    assert (ours.status_code, theirs.status_code, fits.status_code) == (413, 413, 200)
    assert "1,000,000 bytes" in ours.json()["detail"]
    assert theirs.json()["error"]["code"] == "media_too_large"
    assert len(fake.calls) == 1


async def test_without_documentation(tmp_path: Path) -> None:
    async with client(services(tmp_path, docs=False)) as http:
        for path in ("/", "/docs", "/redoc", "/openapi.json", "/static/redoc.css"):
            answer = await http.get(path)
            assert answer.status_code == 404, path
            assert "/docs" not in answer.json()["detail"]


async def test_a_proxys_path_is_kept(tmp_path: Path) -> None:
    app = create_app(services(tmp_path))
    transport = httpx.ASGITransport(app=app, root_path="/scriba")
    async with httpx.AsyncClient(transport=transport, base_url="http://scriba") as http:
        root = await http.get("/scriba/")
        page = await http.get("/scriba/redoc")
        missing = await http.get("/scriba/v1/nothing")
    assert root.headers["location"] == "/scriba/redoc"
    assert 'data-openapi="/scriba/openapi.json"' in page.text
    assert "error" in missing.json()


def test_which_shape_a_path_takes() -> None:
    def scope(path: str, root: str = "") -> dict[str, str]:
        return {"path": path, "root_path": root}

    assert is_openai(scope("/v1/models"))
    assert not is_openai(scope("/v10/models"))
    assert is_openai(scope("/a/v1/models", "/a"))
    assert route_path(scope("/a", "/a")) == "/"
    assert route_path(scope("/about", "/a")) == "/about"


async def test_the_log_has_the_figures_and_not_the_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging(LogLevel.INFO, LogFormat.JSON)  # again, on the stream that is captured here
    made = services(tmp_path, api_keys=(KEY,))
    async with client(made) as http:
        key = {"authorization": f"Bearer {KEY}"}
        await http.post("/v1/audio/transcriptions?secret=1", files=upload(name="diary.wav"), headers=key)
        await http.get("/v1/models/my/secret", headers=key)
        await http.get("/secret", headers=key)
        await http.get("/health")
    text = capsys.readouterr().err
    lines = [json.loads(line) for line in text.splitlines() if '"request"' in line]
    assert [(line["path"], line["status"]) for line in lines] == [
        ("/v1/audio/transcriptions", 200),
        ("/v1/models/{model:path}", 404),
        ("(no route)", 404),
    ]
    first = lines[0]
    assert (first["method"], first["audio_seconds"], first["upload_bytes"]) == ("POST", 6.0, 10)
    assert first["ms"] > 0
    assert first["real_time_factor"] >= 0
    for word in (SPOKEN, "best", KEY, "diary", "secret=1", "/secret"):
        assert word not in text.replace("/v1/models/{model:path}", ""), word


def test_health_never_waits_on_the_work(tmp_path: Path) -> None:
    fake = FakeTranscriber(seconds=0.5, texts=["word"] * 60)
    with Serving(services(tmp_path, fake)) as serving, httpx.Client(base_url=serving.url) as http:
        workers = [
            threading.Thread(
                target=lambda: httpx.post(serving.url + "/transcribe", files=upload(), timeout=60)
            )
            for _ in range(3)
        ]
        for worker in workers:
            worker.start()
        wait_for(lambda: fake.running == 3)
        times = []
        for _ in range(40):
            begun = time.perf_counter()
            assert http.get("/health").status_code == 200
            times.append(time.perf_counter() - begun)
        assert fake.running == 3
        assert statistics.median(times) < 0.05
        fake.seconds = 0
        serving.app.state.stopping.set()
        for worker in workers:
            worker.join(10)


async def test_a_quiet_stream_is_kept_open(tmp_path: Path) -> None:
    fake = FakeTranscriber(seconds=0.25)
    async with client(services(tmp_path, fake, ping_seconds=0.05)) as http:
        reply = await http.post("/v1/audio/transcriptions", files=upload(), data={"stream": "true"})
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert reply.headers["cache-control"] == "no-store"
    blocks = reply.text.split("\n\n")
    assert blocks.count(": ping") >= 3
    events = [json.loads(block.removeprefix("data: ")) for block in blocks if block.startswith("data: ")]
    assert [event["type"] for event in events] == [
        "transcript.text.delta",
        "transcript.text.delta",
        "transcript.text.done",
    ]
