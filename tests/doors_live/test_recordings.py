"""Short recordings over a WebSocket: order, limits, real Redis."""

from __future__ import annotations

import io
import json
import shutil
import socket as sockets
import subprocess
import time
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from scriba.server.recording_limits import RecordingLimits
from scriba.server.setting_sources import SettingsError
from tests.debian import installed
from tests.doors_live.conftest import Serve
from tests.server.fakes import SPOKEN, Serving, wait_for

LIMITED = "Rate limit exceeded. Try again later."


@contextmanager
def open_socket(server: Serving, path: str = "/ws") -> Iterator[ClientConnection]:
    with connect(server.url.replace("http", "ws") + path, max_size=None) as socket:
        yield socket


def receive(socket: ClientConnection) -> Any:
    return json.loads(socket.recv(timeout=30))


def silence(seconds: float = 1.0) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(16_000)
        out.writeframes(bytes(round(32_000 * seconds)))
    return file.getvalue()


@pytest.mark.parametrize("path", ["/ws", "/ws/transcribe"])
def test_a_recording_and_its_messages_in_order(serve: Serve, path: str) -> None:
    with open_socket(serve(), path) as socket:
        socket.send('{"xId":"a1"}')
        assert receive(socket) == {
            "xId": "a1",
            "service": "Backend",
            "details": "WebSocket (audio chunk)",
        }
        socket.send(b"recording")
        assert receive(socket) == {
            "xId": "a1",
            "service": "WhisperService",
            "details": "transcribe(audio_data)",
        }
        assert receive(socket) == {
            "xId": "a1",
            "service": "WhisperIntegration (AI)",
            "details": "get_transcription(temp_audio)",
        }
        reply = receive(socket)
        assert reply["event"] == "transcription"
        assert " ".join(own["text"] for own in reply["transcripts"]) == SPOKEN
        assert {"id", "text", "start", "end"} <= set(reply["transcripts"][0])
        assert "error" not in json.dumps(reply).lower()
        socket.send('{"message":"Stop"}')
        assert receive(socket) == {"xId": None, "service": "Stop", "details": None}


def test_real_speech_and_a_frame_that_is_none(serve_sound: Serve, beckett: Path) -> None:
    with open_socket(serve_sound()) as socket:
        socket.send('{"xId":"b"}')
        receive(socket)
        socket.send(b"this is no recording")
        receive(socket)
        receive(socket)
        assert "not media" in socket.recv(timeout=30)
        socket.send(beckett.read_bytes())
        receive(socket)
        receive(socket)
        assert "fail" in json.dumps(receive(socket)["transcripts"]).lower()


def test_text_frames_that_say_nothing_are_told(serve: Serve) -> None:
    with open_socket(serve()) as socket:
        for message in ("{", "[]", "{}", '{"xId":null}', '{"message":"Go"}'):
            socket.send(message)
            assert "message" in str(socket.recv(timeout=10))


def test_a_prefix(serve: Serve) -> None:
    server = serve(app_prefix="/speech")
    with open_socket(server, "/speech/ws/transcribe") as socket:
        socket.send('{"xId":"c"}')
        assert receive(socket)["xId"] == "c"


def exhaust(server: Serving, allowed: int) -> None:
    with open_socket(server) as socket:
        for _ in range(allowed):
            socket.send(b"recording")
            assert [receive(socket).get("service") for _ in range(3)][:2] == [
                "WhisperService",
                "WhisperIntegration (AI)",
            ]
        socket.send(b"one too many")
        assert socket.recv(timeout=10) == LIMITED
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=10)
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4000, "Client not allowed")


def test_one_recording_too_many_in_memory(serve: Serve) -> None:
    exhaust(serve(max_recordings_per_minute=3), 3)


@pytest.mark.parametrize(
    "limit", ["max_recordings_per_minute", "max_recordings_per_hour", "max_recordings_per_day"]
)
def test_every_window_counts(serve: Serve, limit: str) -> None:
    exhaust(serve(**{limit: 2}), 2)


async def test_windows_slide_and_expire(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000_000.0
    monkeypatch.setattr("time.time", lambda: now)
    limits = RecordingLimits(2, 3, 4)
    assert [await limits.allow("a") for _ in range(3)] == [True, True, False]
    assert await limits.allow("b")
    now += 61
    assert [await limits.allow("a") for _ in range(2)] == [True, False]  # the hour is full
    now += 3601
    assert [await limits.allow("a") for _ in range(2)] == [True, False]  # the day is full
    now += 86_401
    assert await limits.allow("a")


@dataclass
class Redis:
    """A real server on a free port."""

    folder: Path
    port: int = 0
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def start(self) -> None:
        if not self.port:
            with sockets.create_server(("127.0.0.1", 0)) as free:
                self.port = free.getsockname()[1]
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--save", "", "--dir", str(self.folder)],
            stdout=subprocess.DEVNULL,
        )
        wait_for(self._answers)

    def _answers(self) -> bool:
        try:
            with sockets.create_connection(("127.0.0.1", self.port), 0.2) as own:
                own.sendall(b"PING\r\n")
                return own.recv(7) == b"+PONG\r\n"
        except OSError:
            return False

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    installed("redis-server", lambda: shutil.which("redis-server"))
    own = Redis(tmp_path)
    own.start()
    yield own
    own.stop()


def test_one_recording_too_many_in_redis(serve: Serve, redis: Redis) -> None:
    exhaust(serve(max_recordings_per_minute=3, redis_url=redis.url), 3)
    # A second server counts with the first.
    with open_socket(serve(max_recordings_per_minute=3, redis_url=redis.url)) as socket:
        socket.send(b"recording")
        assert socket.recv(timeout=10) == LIMITED


@pytest.mark.parametrize("failure", ["open", "closed"])
def test_redis_stopped_in_mid_session(serve: Serve, redis: Redis, failure: str) -> None:
    server = serve(redis_url=redis.url, redis_failure=failure)
    with open_socket(server) as socket:
        socket.send(b"recording")
        assert [receive(socket) for _ in range(3)][-1]["event"] == "transcription"
        redis.stop()
        socket.send(b"recording")
        if failure == "closed":
            assert socket.recv(timeout=10) == LIMITED
            return
        assert [receive(socket) for _ in range(3)][-1]["event"] == "transcription"
        redis.start()
        time.sleep(0.1)
        socket.send(b"recording")
        assert [receive(socket) for _ in range(3)][-1]["event"] == "transcription"


def test_a_wrong_address_of_redis(serve: Serve) -> None:
    with pytest.raises(SettingsError, match="REDIS_URL"):
        serve(redis_url="http://example.com")
