"""Engines and recordings made for tests of the pipeline."""

from __future__ import annotations

import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from scriba.audio.decode import open_recording
from scriba.domain.cancel import CancelToken
from scriba.domain.events import Event, Finished
from scriba.domain.transcript import Task, Transcript
from scriba.engine.port import Engine
from tests.speech import beckett


class OneEngine:
    """A provider that has one engine and counts who holds it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.asked: list[tuple[str | None, str | None, Task]] = []
        self.held = 0

    @contextmanager
    def acquire(
        self,
        model: str | None,
        *,
        language: str | None = None,
        task: Task = Task.TRANSCRIBE,
        cancel: CancelToken | None = None,
    ) -> Iterator[Engine]:
        self.asked.append((model, language, task))
        self.held += 1
        try:
            yield self.engine
        finally:
            self.held -= 1


def spoken(path: Path, seconds: float, source: Path | None = None) -> Path:
    """A WAV of real speech of this length, by repetition."""
    with open_recording(source or beckett()) as recording:
        audio = np.concatenate(list(recording.blocks()))
    samples = round(seconds * 16_000)
    repeated = np.tile(audio, -(-samples // len(audio)))[:samples]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes((np.clip(repeated, -1, 1) * 32767).astype("<i2").tobytes())
    return path


def transcript_of(events: list[Event]) -> Transcript:
    last = events[-1]
    assert isinstance(last, Finished)
    return last.transcript
