"""A real server with a real model: broken connections, a killed process, real audio of real clients."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from scriba.audio.decode import open_recording
from tests.doors_live.conftest import Serve
from tests.live.doubles import pcm, recording

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def speech(two_cities: Path) -> NDArray[np.float32]:
    return recording(two_cities, 16.0)


@contextmanager
def process(folder: Path, port: int = 0) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """``scriba serve`` with the bundled model; the process and its address."""
    environment = os.environ | {
        "SCRIBA_DATA_DIR": str(folder),
        "SCRIBA_MODEL": "tiny.en",
        "SCRIBA_PORT": str(port),
        "SCRIBA_LIVE__SYNC_SECONDS": "0.1",
        # The audio comes faster than it is heard, and the machine may be busy with other tests.
        "SCRIBA_LIVE__EXACT": "true",
        "SCRIBA_LOG_LEVEL": "warning",
    }
    own = subprocess.Popen(
        [sys.executable, "-m", "scriba", "serve"],
        cwd=folder,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert own.stderr is not None
        address = ""
        for line in own.stderr:
            found = re.search(r"http://127\.0\.0\.1:\d+", line)
            address = address or (found.group() if found else "")
            if "Ready" in line:
                break
        yield own, address.replace("http", "ws") + "/v1/live"
    finally:
        own.kill()
        own.wait()
        assert own.stderr is not None
        own.stderr.close()


def talk(
    url: str, data: bytes, opening: dict[str, Any], *, stop_at: int | None = None, pace: float = 0.0
) -> tuple[str, list[dict[str, Any]]]:
    """Send from where the server is; drop the connection at ``stop_at`` bytes, or finish."""
    events: list[dict[str, Any]] = []
    with connect(url, max_size=None) as socket:
        socket.recv()
        socket.send(json.dumps(opening))
        started = json.loads(socket.recv())
        assert started["type"] == "started", started
        end = len(data) if stop_at is None else stop_at
        for at in range(started["received"]["bytes"], end, 3200):
            socket.send(data[at : min(at + 3200, end)])
            time.sleep(pace)
        try:
            if stop_at is None:
                socket.send('{"type":"finish"}')
                while True:
                    events.append(json.loads(socket.recv(timeout=60)))
            while True:
                events.append(json.loads(socket.recv(timeout=0.05)))
        except (ConnectionClosed, TimeoutError):
            pass
        if stop_at is not None:
            socket.socket.close()
    return started["session"], events


def words(events: list[dict[str, Any]]) -> list[Any]:
    return [word for event in events if event["type"] == "settled" for word in event["words"]]


def test_ten_broken_connections_and_three_killed_servers(tmp_path: Path, speech: NDArray[np.float32]) -> None:
    data = pcm(speech)
    usual_folder = tmp_path / "usual"
    usual_folder.mkdir()
    with process(usual_folder) as (_, url):
        _, usual = talk(url, data, {"type": "start"})
    chance = random.Random(3)
    folder = tmp_path / "broken"
    folder.mkdir()
    breaks = sorted(chance.randrange(3200, len(data)) for _ in range(13))
    kills = set(chance.sample(range(13), 3))
    seen: list[dict[str, Any]] = []
    opening: dict[str, Any] = {"type": "start"}
    position = 0
    while position <= len(breaks):
        with process(folder) as (own, url):
            while position <= len(breaks):
                stop = breaks[position] if position < len(breaks) else None
                id_, events = talk(url, data, opening, stop_at=stop, pace=0.005)
                seen += [event for event in events if "seq" in event]
                opening = {"type": "resume", "session": id_, "after": seen[-1]["seq"] if seen else 0}
                position += 1
                if position - 1 in kills:
                    own.send_signal(signal.SIGKILL)
                    break

    assert [event["seq"] for event in seen] == list(range(1, len(seen) + 1))
    assert words(seen) == words(usual)
    assert len(words(seen)) > 25


def test_a_browser_recorder_with_timeslice(serve_sound: Serve, two_cities: Path, tmp_path: Path) -> None:
    webm = tmp_path / "speech.webm"
    _write_webm(two_cities, webm, 12.0)
    url = serve_sound().url.replace("http", "ws") + "/v1/live"
    _, events = talk(url, webm.read_bytes(), {"type": "start", "audio": {"encoding": "container"}})

    said = "".join(word["word"] for word in words(events)).lower()
    assert "best of times" in said
    assert "foolishness" in said


def _write_webm(source: Path, target: Path, seconds: float) -> None:
    import av
    from av.audio.frame import AudioFrame

    with open_recording(source) as opened:
        samples = np.concatenate(list(opened.blocks()))[: round(seconds * 16_000)]
    with av.open(str(target), "w", format="webm") as container:
        stream = container.add_stream("libopus", rate=16_000)
        stream.layout = "mono"
        frame = AudioFrame.from_ndarray((samples * 32767).astype(np.int16)[None], format="s16", layout="mono")
        frame.sample_rate = 16_000
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)


@pytest.mark.parametrize("kind", ["silence", "noise", "hum"])
def test_what_is_no_speech_has_no_words_and_no_cost(serve_sound: Serve, kind: str) -> None:
    time_ = np.arange(20 * 16_000) / 16_000
    sound = {
        "silence": np.zeros(len(time_)),
        "noise": np.random.default_rng(2).normal(0, 0.05, len(time_)),
        "hum": 0.2 * np.sin(2 * np.pi * 50 * time_) + 0.1 * np.sin(2 * np.pi * 150 * time_),
    }[kind]
    url = serve_sound().url.replace("http", "ws") + "/v1/live"
    begun = time.monotonic()
    _, events = talk(url, pcm(sound.astype(np.float32)), {"type": "start"})

    assert words(events) == []
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize("kind", ["samples", "container"])
def test_a_session_heard_once_more_is_what_the_recording_would_be(
    serve_sound: Serve, two_cities: Path, tmp_path: Path, speech: NDArray[np.float32], kind: str
) -> None:
    url = serve_sound().url
    data = pcm(speech)
    start: dict[str, Any] = {"type": "start", "refine": True}
    name = "speech.wav"
    if kind == "container":
        name = "speech.webm"
        _write_webm(two_cities, tmp_path / name, 12.0)
        data = (tmp_path / name).read_bytes()
        start["audio"] = {"encoding": "container"}
    else:
        with wave.open(str(tmp_path / name), "wb") as file:
            file.setparams((1, 2, 16_000, 0, "NONE", ""))
            file.writeframes(data)
    id_, events = talk(url.replace("http", "ws") + "/v1/live", data, start)
    with (tmp_path / name).open("rb") as recorded:
        told = httpx.post(f"{url}/v1/audio/transcriptions", files={"file": recorded}, timeout=60).json()
    fetched = httpx.get(f"{url}/v1/live/{id_}", params={"format": "verbose_json"}).json()

    assert [event["type"] for event in events if "seq" in event][-2:] == ["refined", "finished"]
    assert events[-2]["text"] == told["text"] == fetched["text"]
    assert "foolishness" in told["text"]
    assert fetched["segments"]


def test_settled_text_is_right_and_in_time(serve_sound: Serve, speech: NDArray[np.float32]) -> None:
    url = serve_sound().url.replace("http", "ws") + "/v1/live"
    _, events = talk(url, pcm(speech), {"type": "start"}, pace=0.0)
    said = re.sub(r"[^a-z ]", "", "".join(word["word"] for word in words(events)).lower())

    for phrase in ("best of times", "worst of times", "age of wisdom", "epoch of belief", "season of light"):
        assert phrase in said
