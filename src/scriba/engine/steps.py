"""Inference as steps: what a flow asks of an engine, one at a time.

A flow is a generator that yields a step and is sent its result. It never calls an engine itself, so whoever
drives it may put work of other users between two of its steps, batch steps of many flows, and stop it at any
step. ``run_inline`` drives one alone.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from scriba.domain.transcript import Task
from scriba.engine.port import (
    AlignedWord,
    Audio,
    Decoded,
    DecodeRequest,
    Encoded,
    Engine,
    LanguageGuess,
    Phrase,
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Encode:
    """Result: ``Encoded``. ``full`` and ``short`` as in ``Engine.encode``."""

    audio: Audio
    full: bool = False
    short: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class DetectLanguage:
    """Result: ``LanguageGuess``."""

    encoded: Encoded


@dataclass(frozen=True, slots=True, eq=False)
class Decode:
    """Result: ``Decoded``. The one step that gains from company: see ``company``."""

    encoded: Encoded
    request: DecodeRequest


@dataclass(frozen=True, slots=True, eq=False)
class Align:
    """Result: a list of words for each phrase."""

    encoded: Encoded
    phrases: Sequence[Phrase]
    language: str
    task: Task


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """Inference of another kind, which needs no engine: ``work`` takes a fraction of a second."""

    work: Callable[[], Any]


Step = Encode | DetectLanguage | Decode | Align | Call
Result = Encoded | LanguageGuess | Decoded | list[list[AlignedWord]]
Flow = Generator[Step, Any, T]
"""Yields steps, is sent their results, returns a ``T``."""


def company(engine: Engine | None, step: Step) -> Hashable | None:
    """Steps of one engine with equal keys may be performed together; None is always alone."""
    return engine.batch_key(step.encoded, step.request) if engine and isinstance(step, Decode) else None


def perform(engine: Engine | None, steps: Sequence[Step]) -> list[Any]:
    """Do one step, or several decodings that may share a batch; results in the same order."""
    decodings = [step for step in steps if isinstance(step, Decode)]
    if engine is not None and len(decodings) == len(steps):
        return list(engine.decode([(step.encoded, step.request) for step in decodings]))
    return [_perform_alone(engine, step) for step in steps]


def _perform_alone(engine: Engine | None, step: Step) -> Any:
    if isinstance(step, Call):
        return step.work()
    if engine is None:
        raise TypeError("this step needs an engine")
    match step:
        case Encode(audio, full, short):
            return engine.encode(audio, full=full, short=short)
        case DetectLanguage(encoded):
            return engine.detect_language(encoded)
        case Decode(encoded, request):
            return engine.decode([(encoded, request)])[0]
        case Align(encoded, phrases, language, task):
            return engine.align(encoded, phrases, language, task)


def run_inline(flow: Flow[T], engine: Engine) -> T:
    """Drive a flow to its end on the calling thread."""
    try:
        step = next(flow)
        while True:
            step = flow.send(_perform_alone(engine, step))
    except StopIteration as stop:
        result: T = stop.value
        return result
