"""Parting voice from music through the doors: the real process on real sound."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from structlog.testing import capture_logs

from scriba.server.jobs import build_jobs
from scriba.server.separation import build_separation
from scriba.server.services import Services
from tests.doors.serving import client, until
from tests.jobs.doubles import FakeBatch, FakeVoice
from tests.separation.sounds import over_music, read_wav, voice, wav_bytes
from tests.separation.test_process import running
from tests.server.fakes import FakeModels, FakeTranscriber, settings


def services(tmp_path: Path, batch: Any = None, **values: Any) -> Services:
    made = settings(tmp_path, **values)
    separation = build_separation(made)
    jobs = build_jobs(made, batch or FakeBatch(), FakeVoice(), separation)
    return Services(made, FakeTranscriber(), FakeModels(), lambda _: "base", jobs=jobs, separation=separation)


def song(seconds: float = 3.0, name: str = "my song.wav") -> dict[str, Any]:
    return {"file": (name, wav_bytes(over_music(voice(seconds), 5.0)), "audio/wav")}


async def test_a_separation_from_order_to_zip(tmp_path: Path) -> None:
    async with client(services(tmp_path)) as http:
        answer = await http.post("/bgm-separation/", files=song(), params={"uvr_model_size": "gtcrn"})
        assert answer.status_code == 201
        queued = answer.json()
        assert (queued["status"], queued["message"]) == ("QUEUED", "BGM Separation task has queued")
        task = await until(http, f"/task/{queued['identifier']}", "COMPLETED", "FAILED", seconds=60)
        assert (task["status"], task["error"]) == ("COMPLETED", None)
        assert (task["task_type"], task["result_type"]) == ("bgm_separation", "filepath")
        assert set(task["result"]) == {"instrumental_hash", "vocal_hash"}
        assert (task["progress"], task["audio_duration"]) == (1.0, 3.0)
        assert task["task_params"] == {"uvr_model_size": "gtcrn"}
        file = await http.get(f"/task/file/{queued['identifier']}")
        assert (file.status_code, file.headers["content-type"]) == (200, "application/zip")
        assert "filename*=UTF-8''my%20song.zip" in file.headers["content-disposition"]
        assert int(file.headers["content-length"]) == len(file.content)
        with zipfile.ZipFile(io.BytesIO(file.content)) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        assert set(parts) == {"my song-vocals.wav", "my song-instrumental.wav"}
        hashes = {name: hashlib.sha256(data).hexdigest() for name, data in parts.items()}
        assert hashes["my song-vocals.wav"] == task["result"]["vocal_hash"]
        assert hashes["my song-instrumental.wav"] == task["result"]["instrumental_hash"]
        samples, rate = read_wav(parts["my song-vocals.wav"])
        assert (rate, samples.shape) == (48_000, (2, 3 * 48_000))


async def test_files_expire_and_their_task_stays(tmp_path: Path) -> None:
    async with client(services(tmp_path, separation={"file_seconds": 1.0})) as http:
        identifier = (await http.post("/bgm-separation", files=song(1.0))).json()["identifier"]
        task = await until(http, f"/task/{identifier}", "COMPLETED", seconds=60)
        end = time.monotonic() + 20
        while (answer := await http.get(f"/task/file/{identifier}")).status_code == 200:
            assert time.monotonic() < end
            await asyncio.sleep(0.1)
        assert (answer.status_code, answer.json()) == (
            410,
            {"detail": "The files of this task have expired."},
        )
        kept = tmp_path / "data" / "blobs" / "files"
        while any(kept.iterdir()):  # the keeper takes them off the disk, too
            assert time.monotonic() < end
            await asyncio.sleep(0.1)
        assert (await http.get(f"/task/{identifier}")).json()["result"] == task["result"]


async def test_the_same_recording_again_has_files_of_its_own(tmp_path: Path) -> None:
    async with client(services(tmp_path)) as http:
        ids = []
        for _ in range(2):
            ids.append((await http.post("/bgm-separation", files=song(1.0))).json()["identifier"])
            await until(http, f"/task/{ids[-1]}", "COMPLETED", seconds=60)
        await http.delete(f"/task/{ids[0]}")
        assert len(list((tmp_path / "data" / "blobs" / "files").iterdir())) == 1
        assert (await http.get(f"/task/file/{ids[1]}")).status_code == 200


async def test_deleting_stops_the_process(tmp_path: Path) -> None:
    async with client(services(tmp_path)) as http:
        sound = {"file": ("long.wav", wav_bytes(np.tile(voice(), 40)), "audio/wav")}
        identifier = (await http.post("/bgm-separation", files=sound)).json()["identifier"]
        end = time.monotonic() + 30
        while not list(running(os.getpid())):
            assert time.monotonic() < end
            await asyncio.sleep(0.02)
        started = time.monotonic()
        assert (await http.get(f"/task/file/{identifier}")).status_code == 409
        await http.delete(f"/task/{identifier}")
        while list(running(os.getpid())):
            await asyncio.sleep(0.02)
        assert time.monotonic() - started < 2


@pytest.mark.parametrize(
    ("sent", "field", "says"),
    [
        (
            {"uvr_model_size": "UVR-MDX-NET-Inst_HQ_4"},
            "uvr_model_size",
            "scriba models pull UVR-MDX-NET-Inst_HQ_4",
        ),
        ({"uvr_model_size": "htdemucs"}, "uvr_model_size", "personal and research use"),
        ({"uvr_model_size": "nobody"}, "uvr_model_size", "must be one of gtcrn"),
        ({"uvr_device": "cuda"}, "uvr_device", "no CUDA"),
        ({"uvr_device": "npu"}, "uvr_device", "auto, cpu, cuda"),
        ({"segment_size": "0"}, "segment_size", "at least 1"),
        ({"segment_size": "5000"}, "segment_size", "at most 4096"),
    ],
)
@pytest.mark.parametrize("path", ["/bgm-separation", "/transcription"])
async def test_what_cannot_be_done_is_refused_by_name(
    tmp_path: Path, path: str, sent: dict[str, str], field: str, says: str
) -> None:
    data = {**sent, "is_separate_bgm": "true"}
    async with client(services(tmp_path)) as http:
        answer = await http.post(path, files=song(1.0), data=data)
        assert answer.status_code == 422
        (fault,) = answer.json()["detail"]
        assert fault["loc"] == ["body", field]
        assert says in fault["msg"]


async def test_a_model_of_no_name_is_refused_also_where_nothing_is_separated(tmp_path: Path) -> None:
    async with client(services(tmp_path)) as http:
        wrong = await http.post("/transcription", files=song(1.0), params={"uvr_model_size": "nobody"})
        assert (wrong.status_code, wrong.json()["detail"][0]["loc"]) == (422, ["query", "uvr_model_size"])
        usual = {"uvr_model_size": "UVR-MDX-NET-Inst_HQ_4", "is_separate_bgm": "false"}
        assert (await http.post("/transcription", files=song(1.0), data=usual)).status_code == 201


async def test_a_recording_that_is_none_fails_with_one_message(tmp_path: Path) -> None:
    async with client(services(tmp_path)) as http:
        sound = {"file": ("x.wav", b"nothing to hear " * 100, "audio/wav")}
        identifier = (await http.post("/bgm-separation", files=sound)).json()["identifier"]
        task = await until(http, f"/task/{identifier}", "FAILED", seconds=60)
        assert "not media that can be decoded" in task["error"]
        assert (await http.get(f"/task/file/{identifier}")).status_code == 404


async def test_a_transcription_keeps_its_parts_when_it_shall(tmp_path: Path) -> None:
    async with client(services(tmp_path)) as http:
        data = {"is_separate_bgm": "true", "save_file": "true"}
        identifier = (await http.post("/transcription", files=song(1.0), data=data)).json()["identifier"]
        task = await until(http, f"/task/{identifier}", "COMPLETED", "FAILED", seconds=60)
        assert (task["status"], task["result_type"]) == ("COMPLETED", "json")
        assert task["result"]
        file = await http.get(f"/task/file/{identifier}")
        assert file.status_code == 200
        assert len(zipfile.ZipFile(io.BytesIO(file.content)).namelist()) == 2


async def test_separation_as_a_native_job(tmp_path: Path) -> None:
    async with client(services(tmp_path)) as http:
        made = await http.post("/v1/jobs", files=song(1.0), data={"kind": "separation"})
        assert made.status_code == 202, made.text
        job = await until(http, f"/v1/jobs/{made.json()['id']}", "completed", "failed", seconds=60)
        assert job["status"] == "completed"
        result = (await http.get(job["links"]["result"])).json()
        assert set(result) == {"vocal_sha256", "instrumental_sha256"}
        assert (await http.get(job["links"]["file"])).status_code == 200
        for fields, field in (
            ({"kind": "separation", "language": "en"}, "language"),
            ({"kind": "separation", "threshold": "0.5"}, "threshold"),
            ({"kind": "vad", "separation_model": "gtcrn"}, "separation_model"),
            ({"separate": "true", "separation_model": "Kim_Vocal_2"}, "separation_model"),
            ({"separate": "false", "separation_model": "gtcrn"}, "separate"),
        ):
            refused = await http.post("/v1/jobs", files=song(1.0), data=fields)
            assert (refused.status_code, refused.json()["error"]["param"]) == (400, field)


@pytest.mark.parametrize(("model", "warnings"), [("gtcrn", 0), ("htdemucs", 1)])
def test_a_default_that_is_not_here_is_told_of_when_the_server_starts(
    tmp_path: Path, model: str, warnings: int
) -> None:
    with capture_logs() as lines:
        build_separation(settings(tmp_path, separation={"enabled": True, "model": model}))
    said = [line["why"] for line in lines if line["log_level"] == "warning"]
    assert len(said) == warnings
    assert all("scriba models pull htdemucs" in why for why in said)


async def test_voice_activity_as_rttm(tmp_path: Path) -> None:
    async with client(services(tmp_path)) as http:
        made = (await http.post("/v1/jobs", files=song(1.0, "a b.wav"), data={"kind": "vad"})).json()
        await until(http, f"/v1/jobs/{made['id']}", "completed")
        answer = await http.get(f"/v1/jobs/{made['id']}/result", params={"format": "rttm"})
        assert answer.text == "SPEAKER a_b 1 0.000 1.000 <NA> <NA> speech <NA> <NA>\n"
        wrong = await http.get(f"/v1/jobs/{made['id']}/result", params={"format": "srt"})
        assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "format")


@pytest.mark.filterwarnings("ignore:Duplicate Operation ID")  # of the library's video route
async def test_the_schema_has_every_parameter_of_separation(tmp_path: Path) -> None:
    async with client(services(tmp_path)) as http:
        schema = (await http.get("/openapi.json")).json()
    body = schema["paths"]["/bgm-separation"]["post"]["requestBody"]["content"]["multipart/form-data"]
    assert set(body["schema"]["properties"]) == {
        "file", "is_separate_bgm", "uvr_model_size", "uvr_device", "segment_size", "save_file",
    }  # fmt: skip
