"""The policy of whisper_streaming (Macháček et al. 2023, arXiv 2307.14743) on faster-whisper: the named
baseline of live speech.

Every second the whole buffer is transcribed again. The beginning on which two transcripts in a row agree is
settled; it is shown to the model as a prompt once it has left the buffer, and the buffer is cut behind a
settled segment when it has grown over 15 s. Written from the paper; the constants are its authors'.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from benchmarks.recordings import Samples
from scriba.domain.media import SAMPLE_RATE

STEP_SECONDS = 1.0
_LONGEST_SECONDS = 15.0
_PROMPT_CHARACTERS = 200
_KNOWN_WITHIN = 1.0
_LONGEST_OVERLAP = 5


class Model(Protocol):
    """``faster_whisper.WhisperModel``."""

    def transcribe(self, audio: Samples, **options: Any) -> tuple[Any, Any]: ...


def load_model(folder: Path, *, threads: int, workers: int) -> Model:
    """The weights in faster-whisper, for so many streams at once.

    Raises:
        ImportError: it is not installed.
    """
    package = import_module("faster_whisper")
    model: Model = package.WhisperModel(
        str(folder), device="cpu", compute_type="int8", cpu_threads=threads, num_workers=workers
    )
    return model


@dataclass(frozen=True, slots=True)
class Heard:
    """A word with times in seconds of the stream."""

    start: float
    end: float
    text: str


class LocalAgreement:
    """One stream."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._audio = np.zeros(0, np.float32)
        self._offset = 0.0
        self._settled: list[Heard] = []
        self._before: list[Heard] = []

    def add(self, audio: Samples) -> None:
        self._audio = np.concatenate((self._audio, audio))

    def step(self) -> list[Heard]:
        """Hear the buffer again; the words that are settled by it."""
        segments, _ = self._model.transcribe(
            self._audio,
            language="en",
            initial_prompt=self._prompt(),
            beam_size=5,
            word_timestamps=True,
            condition_on_previous_text=True,
        )
        told = list(segments)
        last = self._settled[-1].end if self._settled else 0.0
        words = [
            Heard(word.start + self._offset, word.end + self._offset, word.word)
            for segment in told
            if segment.no_speech_prob <= 0.9
            for word in segment.words
        ]
        words = self._without_overlap([word for word in words if word.start > last - 0.1], last)
        count = 0
        for one, other in zip(words, self._before, strict=False):
            if one.text != other.text:
                break
            count += 1
        settled, self._before = words[:count], words[count:]
        self._settled += settled
        if len(self._audio) > _LONGEST_SECONDS * SAMPLE_RATE:
            self._cut([segment.end + self._offset for segment in told])
        return settled

    def finish(self) -> list[Heard]:
        """What no second transcript has confirmed."""
        return self._before

    def _without_overlap(self, words: list[Heard], last: float) -> list[Heard]:
        if not words or not self._settled or abs(words[0].start - last) >= _KNOWN_WITHIN:
            return words
        for count in range(1, min(len(words), len(self._settled), _LONGEST_OVERLAP) + 1):
            tail = [word.text for word in self._settled[-count:]]
            if tail == [word.text for word in words[:count]]:
                return words[count:]
        return words

    def _prompt(self) -> str:
        gone = "".join(word.text for word in self._settled if word.end <= self._offset)
        return gone[-_PROMPT_CHARACTERS:]

    def _cut(self, ends: list[float]) -> None:
        last = self._settled[-1].end if self._settled else 0.0
        behind = [end for end in ends[:-1] if end <= last]
        if behind:
            gone = round((behind[-1] - self._offset) * SAMPLE_RATE)
            self._audio = self._audio[gone:]
            self._offset = behind[-1]


@dataclass
class Streamed:
    """What one stream got, and how long after their ends its words were settled."""

    words: list[str] = field(default_factory=list)
    lags: list[float] = field(default_factory=list)


def run_streams(model: Model, speeches: Sequence[Samples]) -> list[Streamed]:
    """All at once, at the speed of time; each hears again as soon as a second has come and it may."""
    heard = [Streamed() for _ in speeches]
    threads = [
        threading.Thread(target=_run, args=(LocalAgreement(model), samples, own))
        for samples, own in zip(speeches, heard, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return heard


def _run(stream: LocalAgreement, samples: Samples, heard: Streamed) -> None:
    begun, position = time.perf_counter(), 0
    while position < len(samples):
        there = int((time.perf_counter() - begun) * SAMPLE_RATE)
        if there < min(position + STEP_SECONDS * SAMPLE_RATE, len(samples)):
            time.sleep(0.01)
            continue
        stream.add(samples[position:there])
        position = there
        _note(heard, stream.step(), time.perf_counter() - begun)
    _note(heard, stream.finish(), time.perf_counter() - begun)


def _note(heard: Streamed, words: Sequence[Heard], now: float) -> None:
    heard.words += [word.text for word in words]
    heard.lags += [now - word.end for word in words]
