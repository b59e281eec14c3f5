"""Other live servers with the same weights, each a process of its own, spoken to through its own socket.

``python -m benchmarks.live --peers PYTHON`` takes the interpreter of an environment of its own that has
whisper-live and whisperlivekit (they bring torch): docs/live.md says how to make one.

They tell the time of a segment or none, not of every word. So a word's end is that which the model itself
gives it for the whole file, and the lag of a settled word that is not in that text is not known.
"""

from __future__ import annotations

import asyncio
import json
import random
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import psutil
from numpy.typing import NDArray
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from benchmarks.live_heard import Heard
from benchmarks.pytorch_weights import write_pytorch
from benchmarks.recordings import Samples, Speech
from benchmarks.server import ServerError
from benchmarks.weights import Weights
from scriba.bench.scoring import normalise_text
from scriba.domain.media import SAMPLE_RATE

_CHUNK = SAMPLE_RATE // 10
_READY_SECONDS = 180.0
_QUIET_SECONDS = 5.0
"""WhisperLive drops what it has not settled at the end: whoever wants it waits until nothing more comes."""
_END_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class TimedWord:
    """A normalised word of the file's text and its end in seconds."""

    text: str
    end: float


@dataclass
class _Told:
    """The words that a server has settled so far, each with the seconds after which it came."""

    words: list[str] = field(default_factory=list)
    at: list[float] = field(default_factory=list)

    def grow_to(self, text: str, now: float) -> None:
        """Take what is new behind what was told before."""
        words = text.split()
        for word in words[len(self.words) :]:
            self.words.append(word)
            self.at.append(now)

    def heard(self, known: Sequence[TimedWord], rest: str = "") -> Heard:
        """``rest`` is what was shown last and never settled."""
        text = " ".join((*self.words, rest))
        return Heard(self._lags(known), words=[text])

    def _lags(self, known: Sequence[TimedWord]) -> list[float]:
        said: list[str] = []
        at: list[float] = []
        for word, when in zip(self.words, self.at, strict=True):
            for part in normalise_text(word, "en").split():
                said.append(part)
                at.append(when)
        matcher = SequenceMatcher(None, [word.text for word in known], said, autojunk=False)
        return [
            at[there + index] - known[here + index].end
            for here, there, size in matcher.get_matching_blocks()
            for index in range(size)
        ]


Listen = Callable[[str, Samples, Sequence[TimedWord]], Coroutine[Any, Any, Heard]]


@dataclass(frozen=True, slots=True)
class Start:
    """What a command line is made of; ``scratch`` is an empty folder."""

    python: Path
    port: int
    weights: Weights
    scratch: Path


@dataclass(frozen=True, slots=True)
class Peer:
    """A server and how to start and to speak to it."""

    name: str
    command: Callable[[Start], list[str]]
    listen: Listen


async def _listen_whisper_live(address: str, samples: Samples, known: Sequence[TimedWord]) -> Heard:
    told = _Told()
    rest = ""
    async with _socket(f"ws://{address}") as ws:
        options = {"uid": str(random.random()), "language": "en", "task": "transcribe", "model": "tiny.en"}
        await ws.send(json.dumps(options | {"use_vad": True, "max_clients": 64}))
        first = json.loads(await ws.recv())
        if first.get("status") == "WAIT":
            return Heard(refused=True)
        begun = time.perf_counter()
        sender = asyncio.create_task(_send(ws, samples, begun))
        completed: dict[float, str] = {}
        with suppress(ConnectionClosed, TimeoutError):
            while True:
                left = max(0.0, begun + len(samples) / SAMPLE_RATE - time.perf_counter())
                async with asyncio.timeout(left + _QUIET_SECONDS):
                    message = json.loads(await ws.recv())
                now = time.perf_counter() - begun
                segments = message.get("segments", [])
                for segment in segments:
                    if segment["completed"]:
                        completed.setdefault(float(segment["start"]), segment["text"])
                told.grow_to(" ".join(completed[start] for start in sorted(completed)), now)
                rest = " ".join(segment["text"] for segment in segments if not segment["completed"])
        await sender
        with suppress(ConnectionClosed):
            await ws.send(b"END_OF_AUDIO")
    return told.heard(known, rest)


async def _listen_whisper_live_kit(address: str, samples: Samples, known: Sequence[TimedWord]) -> Heard:
    told = _Told()
    rest = ""
    async with _socket(f"ws://{address}/asr") as ws:
        await ws.recv()
        pcm = (np.clip(samples, -1, 1) * 32767).astype("<i2")
        begun = time.perf_counter()
        sender = asyncio.create_task(_send(ws, pcm, begun, end=b""))
        with suppress(ConnectionClosed, TimeoutError):
            async with asyncio.timeout(len(samples) / SAMPLE_RATE + _END_SECONDS):
                async for data in ws:
                    message = json.loads(data)
                    if message.get("type") == "ready_to_stop":
                        break
                    now = time.perf_counter() - begun
                    told.grow_to(" ".join(line["text"] for line in message.get("lines", [])), now)
                    rest = message.get("buffer_transcription", rest)
        await sender
    return told.heard(known, rest)


def _whisper_live(start: Start) -> list[str]:
    told = f"'127.0.0.1', port={start.port}, backend='faster_whisper', single_model=True, max_clients=64"
    told += f", faster_whisper_custom_model_path={str(start.weights.folder)!r}"
    code = f"from whisper_live.server import TranscriptionServer as S; S().run({told})"
    return [str(start.python), "-c", code]


def _whisper_live_kit(start: Start) -> list[str]:
    """As it comes: AlignAtt (SimulStreaming), faster-whisper for the encoder and PyTorch for the decoder."""
    folder = start.scratch / start.weights.name  # by that it tells an English-only model
    folder.mkdir()
    heads = write_pytorch(start.weights.folder, folder)
    decoder = ["--decoder-model-path", str(folder), f"--custom-alignment-heads={heads}"]
    encoder = ["--model", start.weights.name, "--encoder-model-path", str(start.weights.folder)]
    return [*_kit(start), "--backend-policy", "simulstreaming", *encoder, *decoder]


def _whisper_live_kit_agreement(start: Start) -> list[str]:
    return [*_kit(start), "--backend-policy", "localagreement", "--model_dir", str(start.weights.folder)]


def _kit(start: Start) -> list[str]:
    program = str(start.python.with_name("whisperlivekit-server"))
    flags = f"--host 127.0.0.1 --port {start.port} --lan en --pcm-input --backend faster-whisper"
    return [program, *flags.split()]


PEERS = (
    Peer("WhisperLive", _whisper_live, _listen_whisper_live),
    Peer("WhisperLiveKit", _whisper_live_kit, _listen_whisper_live_kit),
    Peer("WhisperLiveKit, local agreement", _whisper_live_kit_agreement, _listen_whisper_live_kit),
)


class PeerServer:
    """One peer's process; a context manager."""

    def __init__(self, peer: Peer, python: Path, weights: Weights) -> None:
        self._peer = peer
        self._scratch = tempfile.TemporaryDirectory(prefix="scriba-bench-")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port: int = free.getsockname()[1]
        self._process = subprocess.Popen(
            peer.command(Start(python, self._port, weights, Path(self._scratch.name))),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            self._wait()
        except BaseException:
            self.__exit__(None, None, None)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        self._scratch.cleanup()

    @property
    def memory(self) -> float:
        """Resident, in MB."""
        return psutil.Process(self._process.pid).memory_info().rss / 1e6

    def run_streams(
        self, speeches: Sequence[Speech], known: Sequence[Sequence[TimedWord]], count: int
    ) -> list[Heard]:
        """So many streams at once at the speed of time; ``known`` are the words of each speech."""
        return asyncio.run(self._run_streams(speeches, known, count))

    async def _run_streams(
        self, speeches: Sequence[Speech], known: Sequence[Sequence[TimedWord]], count: int
    ) -> list[Heard]:
        chance = random.Random(count)

        async def one(index: int) -> Heard:
            await asyncio.sleep(2.0 * chance.random())
            chosen = index % len(speeches)
            address = f"127.0.0.1:{self._port}"
            return await self._peer.listen(address, speeches[chosen].samples, known[chosen])

        return await asyncio.gather(*(one(index) for index in range(count)))

    def _wait(self) -> None:
        began = time.perf_counter()
        while time.perf_counter() - began < _READY_SECONDS:
            if self._process.poll() is not None:
                raise ServerError(f"{self._peer.name} ended with {self._process.returncode}.")
            with suppress(OSError), socket.create_connection(("127.0.0.1", self._port), 1.0):
                return
            time.sleep(0.2)
        raise ServerError(f"{self._peer.name} was not ready after {_READY_SECONDS:.0f} s.")


def _socket(url: str) -> AbstractAsyncContextManager[ClientConnection]:
    return connect(url, max_size=None, ping_interval=None, open_timeout=60.0)


async def _send(ws: ClientConnection, samples: NDArray[Any], begun: float, end: bytes | None = None) -> None:
    """Each chunk when its last sample would have been said."""
    with suppress(ConnectionClosed):
        for start in range(0, len(samples), _CHUNK):
            chunk = samples[start : start + _CHUNK]
            said = begun + (start + len(chunk)) / SAMPLE_RATE
            await asyncio.sleep(max(0.0, said - time.perf_counter()))
            await ws.send(chunk.tobytes())
        if end is not None:
            await ws.send(end)
