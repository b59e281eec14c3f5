"""What is measured: anything that takes a recording and gives its text some time later."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

BASELINE = "faster-whisper, beam 1"
"""The named baseline: faster-whisper 1.2.1, int8, sequential, greedy."""
SCRIBA = "scriba, beam 1"
SCRIBA_DEFAULT = "scriba, as it comes (beam 5)"


class System(Protocol):
    """One engine, ready to work."""

    def submit(self, path: Path) -> Future[str]:
        """Begin with a recording at once; the future gives its text."""
        ...


class Finish:
    """When a future ends, noted by whoever ends it: waiting for several in turn does not blur it."""

    def __init__(self, future: Future[str]) -> None:
        self.future = future
        self._noted: Future[float] = Future()
        future.add_done_callback(lambda _: self._noted.set_result(time.perf_counter()))

    def wait(self) -> float:
        """The end by ``time.perf_counter``. Raises what the work raised."""
        self.future.result()
        return self._noted.result()


@dataclass(frozen=True, slots=True)
class Answer:
    """Text of one recording, and the seconds from asking for it to having it."""

    text: str
    seconds: float


def ask(system: System, path: Path) -> Answer:
    """One recording, waited for."""
    began = time.perf_counter()
    text = system.submit(path).result()
    return Answer(text, time.perf_counter() - began)


def ask_together(system: System, paths: Sequence[Path]) -> tuple[list[Answer], float]:
    """All recordings at once. Answers in the order of ``paths``, and the seconds until the last came."""
    began = time.perf_counter()
    finishes = [Finish(system.submit(path)) for path in paths]
    ends = [finish.wait() for finish in finishes]
    answers = [
        Answer(finish.future.result(), end - began) for finish, end in zip(finishes, ends, strict=True)
    ]
    return answers, max(ends) - began
