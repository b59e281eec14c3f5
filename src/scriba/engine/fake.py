"""A deterministic engine for tests of scheduling and protocol: it hears what a script says, at a set cost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace

from scriba.domain.transcript import Task
from scriba.engine.port import (
    AlignedWord,
    Audio,
    Capabilities,
    Decoded,
    DecodeRequest,
    Encoded,
    LanguageGuess,
    Phrase,
)


@dataclass(frozen=True, slots=True)
class FakeEncoded:
    """Keeps the sound, so that a script can look at it."""

    audio: Audio
    seconds: float
    full: bool = True


Script = Callable[[FakeEncoded, DecodeRequest], Decoded]
Guesser = Callable[[FakeEncoded], LanguageGuess]


def says(text: str, *, seconds: float = 1.0, **changes: float) -> Decoded:
    """A pass of one confident phrase over ``seconds``; ``changes`` are fields of ``Decoded``."""
    phrases = (Phrase(0.0, seconds, " " + text, tuple(range(len(text.split())))),) if text else ()
    decoded = Decoded(
        phrases=phrases,
        consumed=1e9,
        temperature=0.0,
        avg_logprob=-0.2,
        compression_ratio=1.2,
        no_speech_prob=0.01,
    )
    return replace(decoded, **changes)  # type: ignore[arg-type]


def _says_its_length(encoded: FakeEncoded, request: DecodeRequest) -> Decoded:
    return says(f"{encoded.seconds:.1f} seconds", seconds=encoded.seconds, temperature=request.temperature)


def _english(_: FakeEncoded) -> LanguageGuess:
    return LanguageGuess((("en", 0.95), ("de", 0.05)))


@dataclass
class FakeEngine:
    """Implements ``scriba.engine.port.Engine``. ``cost`` is seconds slept in each step of inference."""

    script: Script = _says_its_length
    guess: Guesser = _english
    cost: float = 0.0
    parallelism: int = 2
    short_context: bool = False
    languages: frozenset[str] = frozenset({"en", "de", "fr"})
    model: str = "fake"
    requests: list[DecodeRequest] = field(default_factory=list)
    """Every decoding asked for, in the order in which they began."""
    batches: list[int] = field(default_factory=list)
    """How many were decoded together, each time."""
    running: int = 0
    most_running: int = 0
    closed: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            batch_windows=20,
            batch_short_windows=24,
            batch_rows=100,
            languages=self.languages,
            translate=True,
            word_times=True,
            beam_search=True,
            parallelism=self.parallelism,
            device="fake",
            compute_type="none",
        )

    def encode(self, audio: Audio, *, full: bool = False, short: bool = False) -> FakeEncoded:
        time.sleep(self.cost)
        return FakeEncoded(audio, len(audio) / 16_000, full or not (short or self.short_context))

    def detect_language(self, encoded: Encoded) -> LanguageGuess:
        return self.guess(_mine(encoded))

    def batch_key(self, encoded: Encoded, request: DecodeRequest) -> Hashable:
        return (request.temperature, request.options)

    def decode(self, batch: Sequence[tuple[Encoded, DecodeRequest]]) -> list[Decoded]:
        with self._lock:
            self.requests.extend(request for _, request in batch)
            self.batches.append(len(batch))
            self.running += 1
            self.most_running = max(self.most_running, self.running)
        try:
            time.sleep(self.cost)
            return [self._decode_one(_mine(encoded), request) for encoded, request in batch]
        finally:
            with self._lock:
                self.running -= 1

    def _decode_one(self, encoded: FakeEncoded, request: DecodeRequest) -> Decoded:
        decoded = self.script(encoded, request)
        return replace(decoded, consumed=min(decoded.consumed, encoded.seconds))

    def align(
        self, encoded: Encoded, phrases: Sequence[Phrase], language: str, task: Task
    ) -> list[list[AlignedWord]]:
        return [_even(phrase) for phrase in phrases]

    def close(self) -> None:
        self.closed = True


def _mine(encoded: Encoded) -> FakeEncoded:
    if not isinstance(encoded, FakeEncoded):
        raise TypeError("an encoding belongs to the engine that made it")
    return encoded


def _even(phrase: Phrase) -> list[AlignedWord]:
    """Words of equal length over the phrase."""
    words = phrase.text.split()
    step = (phrase.end - phrase.start) / max(1, len(words))
    return [
        AlignedWord(phrase.start + index * step, phrase.start + (index + 1) * step, " " + word, 0.9, (index,))
        for index, word in enumerate(words)
    ]
