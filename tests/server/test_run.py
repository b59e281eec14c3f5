"""``serve`` as a process: what it prints, how it ends, and what it says when it cannot begin."""

from __future__ import annotations

import os
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
import wave
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from scriba.server.run import serve
from scriba.server.setting_sources import SettingsError
from tests.server.fakes import settings, wait_for

PROGRAM = """
from scriba.server.run import serve
from scriba.server.setting_sources import load_settings
serve(load_settings(env_file=None))
"""


def repeated(recording: Path, times: int, target: Path) -> Path:
    """A WAV file that says the same again and again: seconds of work for any engine."""
    with wave.open(str(recording), "rb") as once, wave.open(str(target), "wb") as long:
        long.setparams(once.getparams())
        frames = once.readframes(once.getnframes())
        for _ in range(times):
            long.writeframes(frames)
    return target


class Process:
    """A server in a process of its own, with the bundled model."""

    def __init__(self, folder: Path, **more: str) -> None:
        variables = {
            "SCRIBA_PORT": "0",
            "SCRIBA_MODEL": "tiny.en",
            "SCRIBA_MODEL_SOURCES": "bundled",
            "SCRIBA_DATA_DIR": str(folder / "data"),
            **more,
        }
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", PROGRAM],
            env={**os.environ, **variables},
            cwd=folder,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.text = ""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self.begun = time.monotonic()

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.text += line

    @property
    def url(self) -> str:
        return self.text.partition("listens on ")[2].split()[0]

    def ready(self) -> Process:
        wait_for(lambda: "OpenAI clients" in self.text or self._process.poll() is not None, 60)
        assert self._process.poll() is None, self.text
        return self

    def end(self, how: int = signal.SIGTERM) -> int:
        if self._process.poll() is None:
            self._process.send_signal(how)
        code = self._process.wait(20)
        self._reader.join(5)
        assert self._process.stderr is not None
        self._process.stderr.close()
        return code


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    running = Process(tmp_path)
    yield running
    running.end(signal.SIGKILL)


@pytest.mark.slow
def test_it_says_where_it_is_and_how_to_try_it(process: Process, two_cities: Path) -> None:
    url = process.ready().url
    assert f"{url}/redoc" in process.text
    assert f"curl -F file=@speech.wav {url}/transcribe" in process.text
    assert httpx.get(url + "/ready").json() == {"status": "ready", "model": "tiny.en", "reason": None}
    with two_cities.open("rb") as file:
        answer = httpx.post(url + "/transcribe", files={"file": file}, timeout=120)
    assert "best of times" in answer.json()["transcript"]
    assert process.end() == -signal.SIGTERM
    assert "Traceback" not in process.text
    assert "best of times" not in process.text


@pytest.mark.slow
def test_a_connection_that_is_used_again_is_answered_without_delay(process: Process) -> None:
    url = process.ready().url
    seconds = []
    with httpx.Client() as client:
        for _ in range(21):
            begun = time.perf_counter()
            assert client.get(url + "/health").json() == {"status": "ok"}
            seconds.append(time.perf_counter() - begun)
    # 40 ms is what a client waits before it acknowledges the first half of an answer.
    assert statistics.median(seconds) < 0.03


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_cancels_what_runs(tmp_path: Path, two_cities: Path, how: int) -> None:
    long = repeated(two_cities, 15, tmp_path / "long.wav")
    process = Process(tmp_path, SCRIBA_SHUTDOWN_GRACE_SECONDS="0.2").ready()
    url = process.url
    answers: list[httpx.Response] = []

    def ask() -> None:
        with long.open("rb") as file:
            answers.append(httpx.post(url + "/transcribe", files={"file": file}, timeout=120))

    asking = threading.Thread(target=ask)
    asking.start()
    time.sleep(0.5)
    begun = time.monotonic()
    process.end(how)
    assert time.monotonic() - begun < 5
    asking.join(10)
    assert answers[0].status_code == 503
    assert "shutting down" in answers[0].json()["detail"]
    assert "Traceback" not in process.text


def test_a_port_in_use_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=f"SCRIBA_PORT: 127.0.0.1:{port} is in use"):
            serve(settings(tmp_path, port=port))


def test_a_foreign_address_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"SCRIBA_HOST: 192\.0\.2\.1:0 is no address"):
        serve(settings(tmp_path, host="192.0.2.1", port=0))


def test_an_unknown_model_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="nosuch") as caught:
        serve(settings(tmp_path, port=0, model="nosuch"))
    assert str(caught.value).startswith("SCRIBA_MODEL")
    assert "\n" not in str(caught.value)
