"""Engines that Scriba is compared with, each in a process of its own: one's allocator is not another's."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.results import ROOT, cores

SEQUENTIAL = {"mode": "sequential", "beam_size": 1}
SEQUENTIAL_BEAM_5 = {"mode": "sequential", "beam_size": 5}
BATCHED_8 = {"mode": "batched", "beam_size": 1, "batch_size": 8}
BATCHED_16 = {"mode": "batched", "beam_size": 1, "batch_size": 16}


class BaselineError(Exception):
    """The other engine failed, in its own words."""


class BaselineProcess:
    """One other engine with its model loaded; a context manager.

    Every recording is worked on in a thread of its own, as a simple service around the engine would do.

    Args:
        engine: a name of ``benchmarks.baseline_worker``.
        weights: what the engine loads.
        workers: models side by side in the engine (faster-whisper's ``num_workers``).
        threads: of each worker; all cores when not given.
    """

    def __init__(self, engine: str, weights: Path, *, workers: int = 1, threads: int | None = None) -> None:
        self._lines: deque[str] = deque(maxlen=20)
        self._waiting: dict[int, Future[str]] = {}
        self._numbers = count(1)
        self._lock = threading.Lock()
        self._ready: Future[str] = Future()
        self._waiting[0] = self._ready
        command = [sys.executable, "-m", "benchmarks.baseline_worker", engine, str(weights)]
        command += [str(workers), str(threads or max(1, cores() // workers))]
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        threading.Thread(target=self._read_replies, daemon=True).start()
        threading.Thread(target=self._read_complaints, daemon=True).start()
        try:
            self._ready.result()
        except BaseException:
            self.stop()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()

    def submit(self, path: Path, options: Mapping[str, Any]) -> Future[str]:
        """Begin with a recording; the future gives its text, or raises ``BaselineError``."""
        assert self._process.stdin is not None
        future: Future[str] = Future()
        with self._lock:
            number = next(self._numbers)
            self._waiting[number] = future
            self._process.stdin.write(json.dumps({"id": number, "path": str(path), **options}) + "\n")
            self._process.stdin.flush()
        return future

    def _read_replies(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            reply = json.loads(line)
            future = self._waiting.pop(reply["id"])
            if "error" in reply:
                future.set_exception(BaselineError(reply["error"]))
            else:
                future.set_result(reply["text"])
        self._process.wait()
        for future in list(self._waiting.values()):
            future.set_exception(BaselineError("\n".join(["The other engine ended.", *self._lines])))

    def _read_complaints(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._lines.append(line.rstrip())


class Baseline:
    """A ``System``: one way of asking one process."""

    def __init__(self, process: BaselineProcess, options: Mapping[str, Any]) -> None:
        self._process = process
        self._options = dict(options)

    def submit(self, path: Path) -> Future[str]:
        return self._process.submit(path, self._options)
