"""The model that tells speakers apart, fetched once a session, and recordings of two real voices."""

from __future__ import annotations

import wave
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from scriba.audio.decode import open_recording
from scriba.domain.cancel import CancelToken
from scriba.speakers.networks import Networks
from tests.speech import other_voice, two_cities

T = TypeVar("T")
Audio = NDArray[np.float32]

RATE = 16_000


def sound(path: Path) -> Audio:
    with open_recording(path) as recording:
        return np.concatenate(list(recording.blocks()))


def dialogue() -> tuple[Audio, list[tuple[float, float, str]]]:
    """Two real voices in turn, with who speaks when."""
    first, second = sound(two_cities()), np.tile(sound(other_voice()), 2)
    parts = [(first[: 14 * RATE], "a"), (second, "b"), (first[14 * RATE : 28 * RATE], "a"), (second, "b")]
    turns: list[tuple[float, float, str]] = []
    at = 0.0
    for part, who in parts:
        turns.append((at, at + len(part) / RATE, who))
        at += len(part) / RATE
    return np.concatenate([part for part, _ in parts]), turns


def write(path: Path, *channels: Audio, rate: int = RATE) -> Path:
    samples = np.stack(channels, axis=1)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(len(channels))
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return path


class Threads:
    """Implements ``Steps`` on two threads."""

    width = 2

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(2)
        self.count = 0

    def submit(self, work: Callable[[], T]) -> Future[T]:
        self.count += 1
        return self._pool.submit(work)


class Own:
    """Implements ``NetworkProvider`` with networks that are loaded."""

    def __init__(self, networks: Networks) -> None:
        self._networks = networks

    @contextmanager
    def acquire(self, cancel: CancelToken) -> Iterator[Networks]:
        cancel.check()
        yield self._networks
