"""A long live session: does its memory stay, and does it keep up? And what comes of sound that is no speech?

    python -m benchmarks.live_steady [--model NAME] [--minutes M] [--speed S] [--noise FILE]...

``M`` minutes (30 else) of joined speech through one session, ``S`` times as fast as it was said (1 else); a
line for every ``M``/10 minutes: the server's memory, the seconds by which it was behind, and the processor
time of a minute of sound. Then two minutes each of silence, of white noise at -40 dB, and of every ``FILE``,
a line for each half: words (there should be none) and processor time, which must not grow.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from pathlib import Path

import numpy as np
import psutil
from websockets.asyncio.client import ClientConnection, connect

from benchmarks.live import joined
from benchmarks.recordings import Samples, long_readings, read_samples
from benchmarks.server import Server
from benchmarks.weights import find_weights
from scriba.domain.media import SAMPLE_RATE

_CHUNK = SAMPLE_RATE // 10
_PARTS = 10
_NOISE_SECONDS = 120
_CAUGHT_UP_SECONDS = 120.0


class Session:
    """One live session at some speed."""

    def __init__(self, socket: ClientConnection, speed: float) -> None:
        self._socket = socket
        self._speed = speed
        self._sent = 0
        self._begun = time.perf_counter()
        self._reader = asyncio.create_task(self._read())
        self.words = 0
        self.late = 0.0
        """The most seconds of sound by which a settled word came late, since last asked."""

    async def send(self, samples: Samples) -> None:
        data = (np.clip(samples, -1, 1) * 32767).astype("<i2")
        for start in range(0, len(data), _CHUNK):
            part = data[start : start + _CHUNK]
            self._sent += len(part)
            wait = self._begun + self._sent / SAMPLE_RATE / self._speed - time.perf_counter()
            await asyncio.sleep(max(0.0, wait))
            await self._socket.send(part.tobytes())

    async def finish(self) -> None:
        await self._socket.send('{"type":"finish"}')
        async with asyncio.timeout(_CAUGHT_UP_SECONDS):
            await self._reader

    async def _read(self) -> None:
        async for message in self._socket:
            event = json.loads(message)
            if event["type"] == "settled":
                self.words += len(event["words"])
                now = (time.perf_counter() - self._begun) * self._speed
                self.late = max(self.late, now - event["words"][-1]["end"])


async def open_session(url: str, speed: float) -> Session:
    socket = await connect(url.replace("http", "ws") + "/v1/live", max_size=None)
    await socket.recv()
    await socket.send(json.dumps({"type": "start", "language": "en"}))
    started = json.loads(await socket.recv())
    if started["type"] != "started":
        raise SystemExit(started["message"])
    return Session(socket, speed)


async def run(server: Server, minutes: float, speed: float, noises: dict[str, Samples]) -> None:
    process = psutil.Process(server.pid)
    speech = joined(long_readings(), 60 * minutes).samples
    session = await open_session(server.url, speed)
    await measure(process, session, "speech", np.array_split(speech, _PARTS))
    await session.finish()
    for name, samples in noises.items():
        session = await open_session(server.url, speed)
        await measure(process, session, name, np.array_split(samples, 2))
        await session.finish()
        sys.stdout.write(f"{name}: {session.words} words in all\n")


async def measure(process: psutil.Process, session: Session, name: str, parts: list[Samples]) -> None:
    done = 0.0
    for part in parts:
        before, words = process.cpu_times(), session.words
        await session.send(part)
        after = process.cpu_times()
        seconds = len(part) / SAMPLE_RATE
        done += seconds
        used = 60 * (after.user + after.system - before.user - before.system) / seconds
        sys.stdout.write(
            f"{name}, minute {done / 60:5.1f}: {process.memory_info().rss / 1e6:6.0f} MB, "
            f"settled words at most {session.late:5.2f} s late, {session.words - words:4d} words, "
            f"{used:5.1f} s of processor a minute\n"
        )
        sys.stdout.flush()
        session.late = 0.0


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.live_steady", description=__doc__)
    parser.add_argument("--model", default="tiny.en")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--speed", type=float, default=1.0)
    parser.add_argument("--noise", type=Path, action="append", default=[])
    told = parser.parse_args(arguments)
    count = _NOISE_SECONDS * SAMPLE_RATE
    noises: dict[str, Samples] = {
        "silence": np.zeros(count, np.float32),
        "white noise": np.random.default_rng(1).normal(0, 0.01, count).astype(np.float32),
    }
    for path in told.noise:
        samples = read_samples(path)
        noises[path.stem] = np.tile(samples, -(-count // len(samples)))[:count]
    with Server(find_weights(told.model)) as server:
        asyncio.run(run(server, told.minutes, told.speed, noises))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
