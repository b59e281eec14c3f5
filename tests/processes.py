"""Real processes of Scriba, on real recordings, that may be killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import wave
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx
import numpy as np

from scriba.audio.decode import open_recording
from tests.speech import two_cities

BASE_ENVIRONMENT = {
    "SCRIBA_MODEL": "tiny.en",
    "SCRIBA_DECODING__BEAM_SIZE": "1",
    "SCRIBA_LOG_FORMAT": "json",
    "SCRIBA_SHUTDOWN_GRACE_SECONDS": "0",
}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


@dataclass
class Process:
    """A ``scriba serve`` or ``scriba worker``; entering starts it, leaving ends it."""

    arguments: list[str]
    data: Path
    environment: dict[str, str] = field(default_factory=dict)
    popen: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        self.data.mkdir(parents=True, exist_ok=True)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SCRIBA_")}
        environment = kept | BASE_ENVIRONMENT | {"SCRIBA_DATA_DIR": str(self.data)} | self.environment
        with (self.data / "log").open("ab") as log:
            self.popen = subprocess.Popen(
                [sys.executable, "-m", "scriba", *self.arguments], env=environment, stdout=log, stderr=log
            )
        return self

    @property
    def running(self) -> subprocess.Popen[bytes]:
        assert self.popen is not None
        return self.popen

    def send(self, number: signal.Signals) -> None:
        self.running.send_signal(number)

    def kill(self) -> None:
        self.running.kill()
        self.running.wait(20)

    def stop(self) -> int:
        self.send(signal.SIGCONT)
        self.send(signal.SIGTERM)
        return self.running.wait(30)

    @property
    def log(self) -> str:
        return (self.data / "log").read_text(errors="replace")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        if self.popen is not None and self.popen.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                self.stop()
                return
            self.kill()


class Server(Process):
    """A ``scriba serve`` on a port that it keeps over restarts."""

    def __init__(self, data: Path, *flags: str, **environment: str) -> None:
        self.port = free_port()
        super().__init__(["serve", "--port", str(self.port), *flags], data, environment)
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30)

    def start(self) -> Self:
        super().start()
        end = time.monotonic() + 40
        while True:
            with suppress(httpx.TransportError):
                if self.http.get("/health").status_code == 200:
                    return self
            assert self.running.poll() is None, self.log[-3000:]
            assert time.monotonic() < end, self.log[-3000:]
            time.sleep(0.05)

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        self.http.close()


def worker(data: Path, *flags: str, **environment: str) -> Process:
    return Process(["worker", *flags], data, environment)


def recordings(folder: Path, count: int, seconds: float = 35.0) -> list[Path]:
    """So many different recordings of real speech, of two windows each unless told otherwise."""
    folder.mkdir(parents=True, exist_ok=True)
    with open_recording(two_cities()) as recording:
        audio = np.concatenate(list(recording.blocks()))
    made = []
    for number in range(count):
        start = round(number * (len(audio) / 16_000 - seconds) / count * 16_000)
        part = (np.clip(audio[start : start + round(seconds * 16_000)], -1, 1) * 32767).astype("<i2")
        path = folder / f"{number:03}.wav"
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(16_000)
            file.writeframes(part.tobytes())
        made.append(path)
    return made


def order(http: httpx.Client, path: Path, **fields: str) -> str:
    """Order a transcription; the job's id."""
    with path.open("rb") as file:
        answer = http.post("/v1/jobs", files={"file": (path.name, file)}, data=fields)
    assert answer.status_code == 202, answer.text
    identifier: str = answer.json()["id"]
    return identifier


def all_jobs(http: httpx.Client, **params: str) -> list[dict[str, Any]]:
    """Every job, over all pages."""
    found: list[dict[str, Any]] = []
    while True:
        more = {"after": found[-1]["id"]} if found else {}
        page = http.get("/v1/jobs", params={"limit": "100", **params, **more}).json()
        found += page["data"]
        if not page["has_more"]:
            return found


def result(http: httpx.Client, identifier: str) -> dict[str, Any]:
    answer = http.get(f"/v1/jobs/{identifier}/result", params={"format": "verbose_json"})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def until_all(http: httpx.Client, count: int, *states: str, seconds: float) -> list[dict[str, Any]]:
    """All jobs, once so many of them are in one of these states."""
    end = time.monotonic() + seconds
    while True:
        with suppress(httpx.TransportError):
            found = all_jobs(http)
            if sum(job["status"] in states for job in found) >= count:
                return found
        assert time.monotonic() < end, [job["status"] for job in all_jobs(http)]
        time.sleep(0.25)
