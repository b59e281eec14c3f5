"""The Engine port: what any Whisper implementation must offer, one window of sound at a time.

A window is encoded once; detection, decoding at several temperatures and alignment all reuse the encoding.
The steps are separate so that work can be cancelled, re-prioritised and batched between them.
Implementations are thread-safe: several workers call one engine at once.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from scriba.domain.cancel import CancelToken
from scriba.domain.options import DecodingOptions
from scriba.domain.transcript import Task

Audio = NDArray[np.float32]
"""Shape ``(samples,)``, 16 kHz mono, full scale ±1."""

WINDOW_SECONDS = 30.0
WINDOW_SAMPLES = 480_000
"""The most sound one window may hold: Whisper's input is always 30 s."""

MOST_BATCH_ROWS = 20
"""No engine decodes more sequences together of its own accord."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine with this model loaded can do. What is not declared is refused, never ignored."""

    languages: frozenset[str]
    translate: bool
    word_times: bool
    beam_search: bool
    parallelism: int
    """Windows worth having in flight at once."""
    batch_windows: int
    """Windows with all of their context worth decoding together at the most."""
    batch_short_windows: int
    """The same of windows with less."""
    batch_rows: int
    """Sequences worth decoding together at the most; a beam of five counts five for each window."""
    device: str
    compute_type: str


class Encoded(Protocol):
    """A window after the encoder. Opaque; belongs to the engine that made it."""

    @property
    def seconds(self) -> float:
        """Seconds of sound in the window, before padding."""
        ...

    @property
    def full(self) -> bool:
        """Whether the encoder was given the whole 30 s it was trained on, or less (``engine.context``)."""
        ...


@dataclass(frozen=True, slots=True)
class LanguageGuess:
    """Probability of each language, most likely first."""

    probabilities: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class DecodeRequest:
    """How to decode one encoded window. ``previous`` are text tokens of what was said before it."""

    language: str
    task: Task
    options: DecodingOptions
    temperature: float
    previous: tuple[int, ...] = ()
    first: bool = True
    """The recording's first window: ``prefix`` applies to it alone."""
    words: bool = False
    """The text's words will be aligned: the engine may note meanwhile what that needs."""
    spoken_until: float = 0.0
    """Seconds of the window until which somebody surely speaks: a text that has begun should not end at a
    timestamp before it. An engine that cannot hold the model to that may ignore it."""
    draft: tuple[int, ...] = ()
    """What the tokens are expected to be: greedy decoding is quicker for it, the same but for rounding."""

    @property
    def rows(self) -> int:
        """Sequences that are searched at once for it: what it takes of a batch."""
        return self.options.best_of if self.temperature > 0 else self.options.beam_size


@dataclass(frozen=True, slots=True)
class Phrase:
    """A stretch between two timestamp tokens. Times are seconds from the window's start."""

    start: float
    end: float
    text: str
    tokens: tuple[int, ...]
    """Text and timestamp tokens."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """One decoding pass over one window.

    ``consumed`` is how many seconds of the window the phrases account for: less than the window when the
    model stopped in the middle of a phrase, whose audio must then be decoded again from there.
    """

    phrases: tuple[Phrase, ...]
    consumed: float
    temperature: float
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float


@dataclass(frozen=True, slots=True)
class AlignedWord:
    """A word with times in seconds from the window's start; ``text`` keeps its leading space."""

    start: float
    end: float
    text: str
    probability: float
    tokens: tuple[int, ...]


class Engine(Protocol):
    """One loaded model."""

    @property
    def model(self) -> str:
        """The catalogue's name of the model."""
        ...

    @property
    def capabilities(self) -> Capabilities: ...

    def encode(self, audio: Audio, *, full: bool = False, short: bool = False) -> Encoded:
        """Run the encoder over one window.

        Args:
            audio: shape ``(n,)`` with ``0 < n <= WINDOW_SAMPLES``.
            full: over the whole 30 s, where the engine would otherwise spare itself the silence.
            short: spare it the silence also with a model that hears a little worse so.
        """
        ...

    def detect_language(self, encoded: Encoded) -> LanguageGuess: ...

    def batch_key(self, encoded: Encoded, request: DecodeRequest) -> Hashable:
        """Decodings with equal keys may share a batch."""
        ...

    def decode(self, batch: Sequence[tuple[Encoded, DecodeRequest]]) -> list[Decoded]:
        """One pass at one temperature for each window of the batch. Fallback is the caller's business.

        Args:
            batch: one or more, all with the same ``batch_key``.
        """
        ...

    def align(
        self, encoded: Encoded, phrases: Sequence[Phrase], language: str, task: Task
    ) -> list[list[AlignedWord]]:
        """Word times by cross-attention and dynamic time warping, one list for each phrase."""
        ...

    def close(self) -> None:
        """Free the weights. No call may follow."""
        ...


class EngineProvider(Protocol):
    """Hands out engines by model name: loads once, shares, keeps count (``scriba.engine.provider``)."""

    def acquire(
        self,
        model: str | None,
        *,
        language: str | None = None,
        task: Task = Task.TRANSCRIBE,
        cancel: CancelToken | None = None,
    ) -> AbstractContextManager[Engine]:
        """An engine that serves this language and task: the model asked for, or its multilingual sibling.

        Blocks while the model is fetched or loaded; call it on a worker thread.

        Raises:
            ModelNotFoundError, ModelUnavailableError, LanguageNotServedError, CancelledByUserError.
        """
        ...
