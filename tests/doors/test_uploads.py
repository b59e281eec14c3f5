"""Resumable upload: by the protocol, and with its own client."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.doors.serving import client, services
from tests.processes import Server, result
from tests.speech import two_cities

TUS = {"Tus-Resumable": "1.0.0"}
PART = TUS | {"Content-Type": "application/offset+octet-stream"}
CLIENT = "tus-js-client@4.3.1"
SCRIPT = """
const fs = require('fs'); const tus = require('tus-js-client');
const [path, endpoint, name] = process.argv.slice(2);
const options = { endpoint, chunkSize: 1000000, metadata: { filename: name }, retryDelays: [0, 200],
  uploadSize: fs.statSync(path).size };
function send(extra, stopAt) {
  return new Promise((resolve, reject) => {
    const upload = new tus.Upload(fs.createReadStream(path), { ...options, ...extra,
      onError: reject, onSuccess: ({ lastResponse }) => resolve({ url: upload.url,
        media: lastResponse.getHeader('X-Media-Id') }),
      onChunkComplete: (_, accepted) => { if (stopAt && accepted >= stopAt)
        upload.abort().then(() => resolve({ url: upload.url, accepted })); } });
    upload.start();
  });
}
(async () => {
  const first = await send({}, 2000000);
  const second = await send({ uploadUrl: first.url });
  console.log(JSON.stringify({ stopped: first.accepted, media: second.media }));
})().catch(error => { console.error(String(error)); process.exit(1); });
"""


def named(name: str) -> dict[str, str]:
    return {"Upload-Metadata": f"filename {base64.b64encode(name.encode()).decode()},other"}


async def begin(http: httpx.AsyncClient, size: int, **headers: str) -> str:
    answer = await http.post("/v1/uploads", headers=TUS | {"Upload-Length": str(size)} | headers)
    assert answer.status_code == 201, answer.text
    return answer.headers["location"]


async def test_parts_become_a_recording(tmp_path: Path) -> None:
    data = os.urandom(300_000)
    made = services(tmp_path)
    async with client(made) as http:
        url = await begin(http, len(data), **named("my talk.wav"))
        offset = 0
        for size in (100_000, 1, 199_999):
            headers = PART | {"Upload-Offset": str(offset)}
            answer = await http.patch(url, headers=headers, content=data[offset : offset + size])
            offset += size
            assert (answer.status_code, answer.headers["upload-offset"]) == (204, str(offset))
            state = await http.head(url, headers=TUS)
            assert state.headers["upload-offset"] == str(offset)
            assert state.headers["upload-length"] == str(len(data))
        media_id = answer.headers["x-media-id"]
        assert made.jobs is not None
        media = await made.jobs.service.media.get(media_id)
        assert (media.sha256, media.name) == (hashlib.sha256(data).hexdigest(), "my talk.wav")
        # Nothing is left of the parts, and the recording outlives the upload.
        assert not any(path.is_file() for path in (tmp_path / "data" / "blobs" / "uploads").rglob("*"))
        assert (await http.delete(url, headers=TUS)).status_code == 204
        assert (await http.head(url, headers=TUS)).status_code == 404
        job = await http.post("/v1/jobs", json={"media_id": media_id})
        assert job.status_code == 202


async def test_clients_that_can_only_post_name_the_method_in_a_header(tmp_path: Path) -> None:
    """As the protocol asks (tus 1.0, "X-HTTP-Method-Override")."""
    async with client(services(tmp_path)) as http:
        url = await begin(http, 4)
        patch = PART | {"Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH"}
        answer = await http.post(url, headers=patch, content=b"da")
        assert (answer.status_code, answer.headers["upload-offset"]) == (204, "2")
        head = TUS | {"X-HTTP-Method-Override": "HEAD"}
        assert (await http.post(url, headers=head)).headers["upload-offset"] == "2"
        assert (await http.post(url, headers=TUS)).status_code == 405
        delete = TUS | {"X-HTTP-Method-Override": "DELETE"}
        assert (await http.post(url, headers=delete)).status_code == 204
        assert (await http.head(url, headers=TUS)).status_code == 404


async def test_all_at_once_with_the_creation(tmp_path: Path) -> None:
    async with client(services(tmp_path)) as http:
        answer = await http.post("/v1/uploads", headers=PART | {"Upload-Length": "4"}, content=b"data")
        assert (answer.status_code, answer.headers["upload-offset"]) == (201, "4")
        assert answer.headers["x-media-id"]


async def test_what_the_protocol_forbids(tmp_path: Path) -> None:
    async with client(services(tmp_path, max_upload_mb=1)) as http:
        url = await begin(http, 10)
        wrong = await http.patch(url, headers=PART | {"Upload-Offset": "3"}, content=b"abc")
        assert (wrong.status_code, wrong.json()["error"]["param"]) == (409, "Upload-Offset")
        assert wrong.headers["tus-resumable"] == "1.0.0"
        long = await http.patch(url, headers=PART | {"Upload-Offset": "0"}, content=b"x" * 11)
        assert long.status_code == 413
        assert (await http.head(url, headers=TUS)).headers["upload-offset"] == "0"
        kind = await http.patch(url, headers=TUS | {"Upload-Offset": "0"}, content=b"abc")
        assert kind.status_code == 415
        version = await http.head(url, headers={"Tus-Resumable": "0.2.2"})
        assert (version.status_code, version.headers["tus-version"]) == (412, "1.0.0")
        for length in ("1000001", "0", "-1", "many"):
            answer = await http.post("/v1/uploads", headers=TUS | {"Upload-Length": length})
            assert answer.status_code == (413 if length == "1000001" else 400), length
        bad = TUS | {"Upload-Length": "5", "Upload-Metadata": "filename ???"}
        assert (await http.post("/v1/uploads", headers=bad)).status_code == 400
        assert (await http.head("/v1/uploads/nothing", headers=TUS)).status_code == 404
        options = await http.options("/v1/uploads")
        assert options.headers["tus-max-size"] == "1000000"
        assert "creation" in options.headers["tus-extension"]


async def test_an_upload_that_cannot_fit_is_not_begun(tmp_path: Path) -> None:
    async with client(services(tmp_path, store={"quota_mb": 1})) as http:
        answer = await http.post("/v1/uploads", headers=TUS | {"Upload-Length": "1000001"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (507, "storage_full")
        assert await begin(http, 1_000_000)


async def test_an_upload_expires_with_its_parts(tmp_path: Path) -> None:
    made = services(tmp_path, upload_hours=0.2 / 3600)
    async with client(made) as http:
        url = await begin(http, 10)
        await http.patch(url, headers=PART | {"Upload-Offset": "0"}, content=b"abc")
        import asyncio

        await asyncio.sleep(0.3)
        assert (await http.head(url, headers=TUS)).status_code == 410
        assert made.jobs is not None
        assert await made.jobs.uploads.expire() == 1
        assert not any(path.is_file() for path in (tmp_path / "data" / "blobs").rglob("*"))


@pytest.fixture(scope="session")
def tus_client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """tus's own client, from the package registry."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        pytest.skip("node and npm are not installed")
    folder = tmp_path_factory.mktemp("tus")
    (folder / "package.json").write_text("{}")
    command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", CLIENT]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode != 0:
        pytest.skip(f"{CLIENT} could not be installed: {done.stderr.strip()[-200:]}")
    (folder / "send.js").write_text(SCRIPT)
    return folder


def test_its_own_client_is_broken_off_and_goes_on(tmp_path: Path, tus_client: Path) -> None:
    with Server(tmp_path) as server:
        command = ["node", "send.js", str(two_cities()), f"http://127.0.0.1:{server.port}/v1/uploads"]
        done = subprocess.run(
            [*command, "two cities.wav"],
            cwd=tus_client,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr + server.log[-2000:]
        told = json.loads(done.stdout)
        assert 2_000_000 <= told["stopped"] < two_cities().stat().st_size
        with sqlite3.connect(tmp_path / "scriba.db") as database:
            row = database.execute("SELECT sha256, name FROM media WHERE id = ?", (told["media"],)).fetchone()
        database.close()
        assert row == (hashlib.sha256(two_cities().read_bytes()).hexdigest(), "two cities.wav")
        job = server.http.post("/v1/jobs", json={"media_id": told["media"]}).json()
        from tests.processes import until_all

        until_all(server.http, 1, "completed", seconds=30)
        assert "best of times" in result(server.http, job["id"])["text"]
