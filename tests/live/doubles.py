"""An engine that knows one recording by heart: it says the words that lie in the sound it is given.

The recording is real speech, so that voice activity is real; the words are made up, one every 0.4 s of voice.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scriba.audio.decode import open_recording
from scriba.audio.vad import FRAME, SpeechProbability
from scriba.domain.transcript import Task
from scriba.engine.fake import FakeEncoded, FakeEngine
from scriba.engine.port import AlignedWord, Decoded, DecodeRequest, Encoded, Engine, Phrase

RATE = 16_000
WORD_SECONDS = 0.4


@cache
def recording(path: Path, seconds: float | None = None) -> NDArray[np.float32]:
    """As a client of 16 bits would send it: 16 kHz mono."""
    with open_recording(path) as opened:
        audio = np.concatenate(list(opened.blocks()))
    audio = audio[: None if seconds is None else round(seconds * RATE)]
    quantised: NDArray[np.float32] = np.frombuffer(to_s16(audio), "<i2").astype(np.float32)
    quantised /= np.float32(32768)
    return quantised


def to_s16(audio: NDArray[np.float32]) -> bytes:
    return (np.clip(audio, -1, 1) * 32767).astype("<i2").tobytes()


def pcm(audio: NDArray[np.float32]) -> bytes:
    """The bytes that decode to exactly this."""
    return np.round(audio * 32768).astype("<i2").tobytes()


@dataclass(frozen=True)
class Spoken:
    start: float
    end: float
    text: str


def spoken(audio: NDArray[np.float32]) -> list[Spoken]:
    """A word for every 0.4 s of unbroken voice, each with its number; every eighth ends a sentence."""
    words: list[Spoken] = []
    probabilities = SpeechProbability().push(audio)
    run = 0
    for index, probability in enumerate([*probabilities.tolist(), 0.0]):
        run = run + 1 if probability >= 0.5 else 0
        if run * FRAME >= WORD_SECONDS * RATE:
            number = len(words)
            text = f" word{number}" + ("." if number % 8 == 7 else "")
            end = (index + 1) * FRAME / RATE
            words.append(Spoken(round(end - WORD_SECONDS, 3), round(end, 3), text))
            run = 0
    return words


class ByHeart(FakeEngine):
    """``unsure`` seconds before the edge of the sound it gets the words wrong."""

    def __init__(self, audio: NDArray[np.float32], *, unsure: float = 0.2, **values: Any) -> None:
        super().__init__(**values)
        self._sound = audio.tobytes()
        self.words = spoken(audio)
        self._unsure = unsure
        self.windows: list[float] = []

    def _offset(self, audio: NDArray[np.float32]) -> float:
        probe = np.ascontiguousarray(audio[:2000]).tobytes()
        at = self._sound.find(probe)
        while at >= 0 and at % 4:
            at = self._sound.find(probe, at + 1)
        assert at >= 0, "the window is no part of the recording"
        return at / 4 / RATE

    def decode(self, batch: Sequence[tuple[Encoded, DecodeRequest]]) -> list[Decoded]:
        assert all(isinstance(encoded, FakeEncoded) for encoded, _ in batch)
        self.windows.extend(encoded.seconds for encoded, _ in batch)
        return super().decode(batch)

    def _decode_one(self, encoded: FakeEncoded, request: DecodeRequest) -> Decoded:
        offset = self._offset(encoded.audio)
        end = offset + encoded.seconds
        phrases = []
        for number, word in enumerate(self.words):
            if word.start < offset - 0.1 or word.start >= end - 0.05:
                continue
            certain = word.end <= end - self._unsure
            text = word.text if certain else f" guess{number}at{math.floor(end * 10)}"
            phrases.append(Phrase(word.start - offset, min(word.end, end) - offset, text, (number,)))
        joined = "".join(phrase.text for phrase in phrases)
        # One phrase, as the model would write it; its words are found again by ``align``.
        whole = (
            (
                Phrase(
                    phrases[0].start,
                    phrases[-1].end,
                    joined,
                    tuple(token for phrase in phrases for token in phrase.tokens),
                ),
            )
            if phrases
            else ()
        )
        return Decoded(whole, encoded.seconds, request.temperature, -0.2, 1.2, 0.01)

    def align(
        self, encoded: Encoded, phrases: Sequence[Phrase], language: str, task: Task
    ) -> list[list[AlignedWord]]:
        assert isinstance(encoded, FakeEncoded)
        offset = self._offset(encoded.audio)
        aligned = []
        for phrase in phrases:
            texts = [" " + text for text in phrase.text.split()]
            aligned.append(
                [
                    AlignedWord(
                        max(0.0, self.words[token].start - offset),
                        min(self.words[token].end - offset, encoded.seconds),
                        text,
                        0.9,
                        (token,),
                    )
                    for text, token in zip(texts, phrase.tokens, strict=True)
                ]
            )
        return aligned


@dataclass
class Engines:
    """Implements ``EngineProvider`` with one engine."""

    engine: Engine
    taken: int = field(default=0)

    @contextmanager
    def acquire(self, model: str | None, **_: Any) -> Iterator[Engine]:
        self.taken += 1
        try:
            yield self.engine
        finally:
            self.taken -= 1
