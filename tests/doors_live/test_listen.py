"""``scriba listen`` against a server."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from scriba.cli.live_client import LiveClient, LiveRefusedError
from scriba.live.service import LiveLimits
from tests.doors_live.conftest import Serve
from tests.live.doubles import pcm
from tests.server.fakes import KEY


def listen(*arguments: str, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "scriba", "listen", *arguments], input=data, capture_output=True, timeout=60
    )


def test_raw_samples_on_the_standard_input(serve: Serve, audio: NDArray[np.float32], said: str) -> None:
    done = listen("-", "--url", serve().url, "--language", "en", "--fast", data=pcm(audio))

    assert done.returncode == 0, done.stderr
    assert " ".join(done.stdout.decode().split()) == said


def test_a_recording(serve_sound: Serve, beckett: Path) -> None:
    done = listen(str(beckett), "--url", serve_sound(api_keys=[KEY]).url, "--key", KEY, "--fast")

    assert done.returncode == 0, done.stderr
    assert b"fail" in done.stdout.lower()


def test_a_recording_heard_once_more(serve_sound: Serve, beckett: Path) -> None:
    url = serve_sound().url
    done = listen(str(beckett), "--url", url, "--fast", "--refine")
    with beckett.open("rb") as file:
        whole = httpx.post(f"{url}/v1/audio/transcriptions", files={"file": file}, timeout=60).json()["text"]

    assert done.returncode == 0, done.stderr
    settled, refined = done.stdout.decode().split("\n\n")
    assert "fail" in settled.lower()
    assert refined == whole + "\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--delay", "never"), b"delay"),
        (("--language", "klingon"), b"klingon"),
    ],
)
def test_what_the_server_refuses_is_told(serve: Serve, arguments: tuple[str, ...], said: bytes) -> None:
    done = listen("-", "--url", serve().url, *arguments, data=bytes(3200))

    assert done.returncode == 1
    assert said in done.stderr
    assert b"Traceback" not in done.stderr


def test_no_server(tmp_path: Path) -> None:
    done = listen("-", "--url", "http://127.0.0.1:9", data=b"")

    assert done.returncode == 1
    assert b"cannot be reached" in done.stderr


async def test_a_broken_connection_is_mended(serve: Serve, audio: NDArray[np.float32], said: str) -> None:
    server = serve(LiveLimits(sync_seconds=0.05))
    events: list[dict[str, Any]] = []
    client = LiveClient(server.url.replace("http", "ws") + "/v1/live", {"language": "en"}, events.append)

    async def sound() -> AsyncIterator[bytes]:
        data = pcm(audio)
        for start in range(0, len(data), 3200):
            if start == 3200 * 40:
                while not any(event["type"] == "settled" for event in events):
                    await asyncio.sleep(0.02)
                for state in list(server.server.server_state.connections):
                    server.server.servers[0].get_loop().call_soon_threadsafe(state.transport.abort)
                await asyncio.sleep(0.2)
            yield data[start : start + 3200]

    await asyncio.wait_for(client.run(sound()), 30)

    assert sum(event["type"] == "started" for event in events) == 2
    assert "".join(event["text"] for event in events if event["type"] == "settled").strip() == said


async def test_a_full_server_is_told(serve: Serve) -> None:
    server = serve(LiveLimits(max_sessions=0))
    client = LiveClient(server.url.replace("http", "ws") + "/v1/live", {}, lambda _: None)

    async def nothing() -> AsyncIterator[bytes]:
        yield b""

    with pytest.raises(LiveRefusedError, match="takes no more than 0"):
        await client.run(nothing())
