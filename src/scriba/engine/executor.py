"""Who may use the device next: a bounded set of workers, and classes of work that go before others.

One executor serves a device. Every piece of inference is a short job (one window), so that work of a higher
class never waits longer than the windows already running.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable
from concurrent.futures import Future
from enum import IntEnum
from typing import Any, TypeVar

T = TypeVar("T")


class Priority(IntEnum):
    """Lower goes first: a live word, then somebody waiting for an answer, then a queued job."""

    LIVE = 0
    INTERACTIVE = 1
    BATCH = 2


class InferenceExecutor:
    """Runs jobs on ``workers`` threads, by priority, then by need, then in the order of submission.

    A job whose future was cancelled before it started never runs.
    """

    def __init__(self, workers: int, *, name: str = "inference") -> None:
        self._condition = threading.Condition()
        self._queue: list[tuple[int, int, int, Future[Any], Callable[[], Any]]] = []
        self._order = itertools.count()
        self._closed = False
        self._threads = [
            threading.Thread(target=self._work, name=f"{name}-{index}", daemon=True)
            for index in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def workers(self) -> int:
        return len(self._threads)

    @property
    def waiting(self) -> int:
        """Jobs not yet started, cancelled ones included."""
        with self._condition:
            return len(self._queue)

    def submit(
        self, job: Callable[[], T], priority: Priority = Priority.INTERACTIVE, *, ahead: int = 0
    ) -> Future[T]:
        """Queue a job. ``ahead`` counts how far it runs ahead of need: within a class, the needed goes first.

        Raises:
            RuntimeError: the executor is closed.
        """
        future: Future[T] = Future()
        with self._condition:
            if self._closed:
                raise RuntimeError("the executor is closed")
            heapq.heappush(self._queue, (priority, ahead, next(self._order), future, job))
            self._condition.notify()
        return future

    def close(self) -> None:
        """Cancel what has not started, let what runs finish, and stop the threads."""
        with self._condition:
            self._closed = True
            abandoned = [entry[3] for entry in self._queue]
            self._queue.clear()
            self._condition.notify_all()
        for future in abandoned:
            future.cancel()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while True:
            with self._condition:
                while not self._queue and not self._closed:
                    self._condition.wait()
                if self._closed:
                    return
                *_, future, job = heapq.heappop(self._queue)
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = job()
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)
