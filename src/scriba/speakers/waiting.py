"""Steps under way side by side, their results in order, and a cancel that is seen at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import TypeVar

from scriba.domain.cancel import CancelToken
from scriba.speakers.port import Steps

T = TypeVar("T")

_CHECK_SECONDS = 0.1


def in_order(works: Iterator[Callable[[], T]], steps: Steps, cancel: CancelToken) -> Iterator[T]:
    """Results of ``works``; as many as ``steps`` likes are under way at once.

    Raises:
        CancelledByUserError: ``cancel`` was set.
    """
    waiting: deque[Future[T]] = deque()
    try:
        for work in works:
            waiting.append(steps.submit(work))
            if len(waiting) > steps.width:
                yield result_of(waiting.popleft(), cancel)
        while waiting:
            yield result_of(waiting.popleft(), cancel)
    finally:
        for future in waiting:
            future.cancel()


def result_of(future: Future[T], cancel: CancelToken) -> T:
    """What the step returns or raises.

    Raises:
        CancelledByUserError: ``cancel`` was set.
    """
    while True:
        cancel.check()
        try:
            return future.result(timeout=_CHECK_SECONDS)
        except TimeoutError:
            if future.done():
                raise  # the work itself ran into a time limit
