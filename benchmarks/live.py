"""Live streams at the speed of time, through real sockets: how late words are settled, and how well.

    python -m benchmarks.live [--model NAME]... [--quick] [--minutes M] [--peers PYTHON]

``M`` minutes of joined speech a stream (two of them else); the number of streams goes up until the 95th
percentile of the lag passes 2 s; then one stream with each other delay level. Lag is the moment at which a
settled word arrives less that at which its last sample was sent. The offline error is that of the same
server for the same recording as a file. Then the same for whisper_streaming's policy with the same weights
(``benchmarks.local_agreement``), and for other servers (``benchmarks.live_peers``) if an interpreter is named
that has them.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
from websockets.asyncio.client import connect

from benchmarks.arguments import Arguments, parse, run
from benchmarks.live_heard import Heard
from benchmarks.live_peers import PEERS, PeerServer, TimedWord
from benchmarks.local_agreement import load_model
from benchmarks.local_agreement import run_streams as run_local_agreement
from benchmarks.recordings import Samples, Speech, join, long_readings, write_wav
from benchmarks.rounds import percentile, say
from benchmarks.scores import score_english
from benchmarks.server import Server
from benchmarks.tables import Column, Section
from benchmarks.weights import find_weights
from scriba.bench.scoring import normalise_text
from scriba.live.options import Delay

COUNTS = (1, 4, 6, 8, 16, 24, 32)
_QUICK_COUNTS = (1, 4)
_OTHER_DELAYS = tuple(delay for delay in Delay if delay is not Delay.LOW)
_TOO_LATE = 2.0
_RATE = 16_000
_CHUNK = _RATE // 10
_COLUMNS = (
    Column("model", "model", "text"),
    Column("streams", "streams", "count"),
    Column("p50", "lag p50 s", "seconds"),
    Column("p95", "p95 s", "seconds"),
    Column("p99", "p99 s", "seconds"),
    Column("first", "first partial s", "seconds"),
    Column("wer", "WER %", "rate"),
    Column("offline", "offline %", "rate"),
    Column("ratio", "x offline", "ratio"),
    Column("changed", "changed %", "rate"),
    Column("memory", "memory MB", "count"),
    Column("refused", "refused", "count"),
)


async def listen(url: str, samples: Samples, later: float, delay: Delay = Delay.LOW) -> Heard:
    """One stream, begun ``later`` and sent 100 ms at a time, each chunk when its last sample would have been
    said."""
    heard = Heard()
    data = (np.clip(samples, -1, 1) * 32767).astype("<i2")
    await asyncio.sleep(later)
    async with connect(url.replace("http", "ws") + "/v1/live", max_size=None) as socket:
        await socket.recv()
        await socket.send(json.dumps({"type": "start", "language": "en", "delay": delay}))
        if json.loads(await socket.recv())["type"] != "started":
            heard.refused = True
            return heard
        begun = time.perf_counter()

        async def send() -> None:
            for start in range(0, len(data), _CHUNK):
                end = min(start + _CHUNK, len(data))
                await asyncio.sleep(max(0.0, begun + end / _RATE - time.perf_counter()))
                await socket.send(data[start:end].tobytes())
            await socket.send('{"type":"finish"}')

        sender = asyncio.create_task(send())
        started: float | None = None
        partial: list[str] = []
        async for message in socket:
            event = json.loads(message)
            now = time.perf_counter() - begun
            kind = event["type"]
            if kind == "speech_started":
                started = event["at"]
            elif kind == "partial" or kind == "settled":
                if started is not None and event["text"].strip():
                    heard.firsts.append(now - started)
                    started = None
                following = event["text"].split()
                heard.shown += len(partial)
                heard.changed += _changed(partial, following)
                partial = following if kind == "partial" else partial[len(following) :]
            if kind == "settled":
                for word in event["words"]:
                    heard.words.append(word["word"])
                    heard.lags.append(now - word["end"])
        await sender
    return heard


def _changed(shown: Sequence[str], following: Sequence[str]) -> int:
    """Words that stood there and then did not."""
    return sum(
        index < len(following) and following[index].strip(".,;:!?").lower() != word.strip(".,;:!?").lower()
        for index, word in enumerate(shown)
    )


async def run_streams(
    url: str, speeches: Sequence[Speech], count: int, delay: Delay = Delay.LOW
) -> list[Heard]:
    chance = random.Random(count)
    return await asyncio.gather(
        *(
            listen(url, speeches[index % len(speeches)].samples, chance.random() * 2.0, delay)
            for index in range(count)
        )
    )


@dataclass(frozen=True, slots=True)
class Offline:
    """The same server's text of the same recordings as files."""

    wer: float
    words: list[list[TimedWord]]


def offline(server: Server, speeches: Sequence[Speech]) -> Offline:
    """Word error rate and words of the same recordings as files."""
    pairs: list[tuple[str | None, str]] = []
    words: list[list[TimedWord]] = []
    with tempfile.TemporaryDirectory(prefix="scriba-bench-") as folder:
        for index, speech in enumerate(speeches):
            path = write_wav(Path(folder) / f"{index}.wav", speech.samples)
            with path.open("rb") as file:
                reply = httpx.post(
                    f"{server.url}/v1/audio/transcriptions",
                    files={"file": file},
                    data={
                        "model": "whisper-1",
                        "language": "en",
                        "response_format": "verbose_json",
                        "timestamp_granularities[]": "word",
                    },
                    timeout=600,
                )
            reply.raise_for_status()
            told = reply.json()
            pairs.append((speech.text, told["text"]))
            words.append(
                [
                    TimedWord(part, word["end"])
                    for word in told["words"]
                    for part in normalise_text(word["word"], "en").split()
                ]
            )
    score = score_english(pairs)
    assert score is not None
    return Offline(score.wer, words)


def joined(parts: Sequence[Speech], seconds: float) -> Speech:
    """Whole readings, one after the other, of about so many seconds."""
    chosen = [*join(parts, seconds)]
    text = " ".join(part.text or "" for part in chosen)
    return Speech("joined", np.concatenate([part.samples for part in chosen]), text)


def measure(arguments: Arguments) -> Section:
    section = Section("live", "Live streams at the speed of time, over WebSocket", _COLUMNS)
    seconds = 40.0 if arguments.quick else min(arguments.minutes, 10.0) * 60.0
    parts = long_readings()
    speeches = [part for part in parts if part.text is not None and part.seconds < 70.0][:1]
    if not arguments.quick:
        speeches = [joined(parts, seconds)]
    for model in arguments.models:
        settings = {"live__max_sessions": "64"} | dict(arguments.settings)
        with Server(find_weights(model), settings) as server:
            base = offline(server, speeches)
            process = psutil.Process(server.pid)
            for count in _QUICK_COUNTS if arguments.quick else COUNTS:
                say(f"{model}: {count} streams")
                heard = asyncio.run(run_streams(server.url, speeches, count))
                row = _row(model, count, heard, speeches, base.wer)
                row["memory"] = process.memory_info().rss / 1e6
                section.rows.append(row)
                say(json.dumps(row))
                if row["p95"] > _TOO_LATE and count > 1:  # alone, more is done for accuracy than for haste
                    break
            for delay in () if arguments.quick else _OTHER_DELAYS:
                say(f"{model}, delay {delay}: one stream")
                heard = asyncio.run(run_streams(server.url, speeches, 1, delay))
                section.rows.append(_row(f"{model}, {delay}", 1, heard, speeches, base.wer))
                say(json.dumps(section.rows[-1]))
        _measure_baseline(section, model, speeches, base.wer, arguments)
        if arguments.peers is not None:
            _measure_peers(section, model, speeches, base, arguments, arguments.peers)
    section.notes += [
        "Lag: arrival of a settled word less the moment its last sample was sent, by the word's own end.",
        "Changed: words of a partial that stood otherwise in the next, of all that were shown.",
    ]
    return section


def _measure_baseline(
    section: Section, model: str, speeches: Sequence[Speech], base: float, arguments: Arguments
) -> None:
    """whisper_streaming's policy with the same weights, without sockets between."""
    if find_spec("faster_whisper") is None:
        section.notes.append("faster-whisper is not installed: no baseline.")
        return
    engine = load_model(find_weights(model).folder, threads=1, workers=len(os.sched_getaffinity(0)))
    for count in _QUICK_COUNTS if arguments.quick else COUNTS:
        say(f"{model}, local agreement: {count} streams")
        chosen = [speeches[index % len(speeches)] for index in range(count)]
        streamed = run_local_agreement(engine, [speech.samples for speech in chosen])
        heard = [Heard(lags=own.lags, words=own.words) for own in streamed]
        row = _row(f"{model}, local agreement", count, heard, speeches, base)
        del row["first"], row["changed"]  # it shows nothing that is not settled
        section.rows.append(row)
        say(json.dumps(row))
        if row["p95"] > _TOO_LATE:
            return


def _measure_peers(
    section: Section,
    model: str,
    speeches: Sequence[Speech],
    base: Offline,
    arguments: Arguments,
    python: Path,
) -> None:
    """Other servers with the same weights, until they are too late, but one step further than one stream."""
    for peer in PEERS:
        with PeerServer(peer, python, find_weights(model)) as server:
            for count in _QUICK_COUNTS if arguments.quick else COUNTS:
                say(f"{model}, {peer.name}: {count} streams")
                heard = server.run_streams(speeches, base.words, count)
                row = _row(f"{model}, {peer.name}", count, heard, speeches, base.wer)
                row["memory"] = server.memory
                del row["first"], row["changed"]  # not asked of them
                section.rows.append(row)
                say(json.dumps(row))
                if row["p95"] > _TOO_LATE and count > 1:
                    break


def _row(
    model: str, count: int, heard: Sequence[Heard], speeches: Sequence[Speech], base: float
) -> dict[str, Any]:
    taken = [own for own in heard if not own.refused]
    lags = [lag for own in taken for lag in own.lags] or [0.0]
    firsts = [first for own in taken for first in own.firsts] or [0.0]
    score = score_english(
        [
            (speeches[index % len(speeches)].text, own.text)
            for index, own in enumerate(heard)
            if not own.refused
        ]
    )
    assert score is not None
    return {
        "model": model,
        "streams": count,
        "p50": percentile(lags, 0.5),
        "p95": percentile(lags, 0.95),
        "p99": percentile(lags, 0.99),
        "first": percentile(firsts, 0.5),
        "wer": 100 * score.wer,
        "offline": 100 * base,
        "ratio": score.wer / base if base else 1.0,
        "changed": 100 * sum(own.changed for own in taken) / max(1, sum(own.shown for own in taken)),
        "refused": len(heard) - len(taken),
    }


if __name__ == "__main__":
    sys.exit(run(measure, parse("live", __doc__ or "", minutes=2.0)))
