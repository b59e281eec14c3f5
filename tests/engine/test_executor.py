"""The executor: order, priority, cancellation, failure and close."""

import threading
from concurrent.futures import CancelledError

import pytest

from scriba.engine.executor import InferenceExecutor, Priority


class Gate:
    """Holds the only worker until opened, so that what waits is known."""

    def __init__(self, executor: InferenceExecutor) -> None:
        self._open = threading.Event()
        started = threading.Event()

        def job() -> None:
            started.set()
            assert self._open.wait(10)

        self.future = executor.submit(job, Priority.LIVE)
        assert started.wait(10)

    def open(self) -> None:
        self._open.set()


def test_higher_classes_go_first_and_equals_in_order() -> None:
    executor = InferenceExecutor(1)
    gate = Gate(executor)
    order: list[str] = []
    futures = [
        executor.submit(lambda name=name: order.append(name), priority)  # type: ignore[misc]
        for name, priority in [
            ("batch 1", Priority.BATCH),
            ("interactive 1", Priority.INTERACTIVE),
            ("batch 2", Priority.BATCH),
            ("live", Priority.LIVE),
            ("interactive 2", Priority.INTERACTIVE),
        ]
    ]
    assert executor.waiting == 5
    gate.open()
    for future in futures:
        future.result(10)
    assert order == ["live", "interactive 1", "interactive 2", "batch 1", "batch 2"]
    executor.close()


def test_what_was_cancelled_while_waiting_never_runs() -> None:
    executor = InferenceExecutor(1)
    gate = Gate(executor)
    ran: list[int] = []
    cancelled = executor.submit(lambda: ran.append(1))
    kept = executor.submit(lambda: ran.append(2))
    assert cancelled.cancel()
    gate.open()
    kept.result(10)
    assert ran == [2]
    executor.close()


def test_a_failure_reaches_its_caller_and_the_worker_lives() -> None:
    executor = InferenceExecutor(1)

    def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        executor.submit(fail).result(10)
    assert executor.submit(lambda: 7).result(10) == 7
    executor.close()


def test_close_cancels_what_waits_and_refuses_more() -> None:
    executor = InferenceExecutor(1)
    gate = Gate(executor)
    waiting = executor.submit(lambda: 1)
    closer = threading.Thread(target=executor.close)
    closer.start()
    gate.open()
    closer.join(10)
    assert not closer.is_alive()
    assert gate.future.done()
    with pytest.raises(CancelledError):
        waiting.result(1)
    with pytest.raises(RuntimeError, match="closed"):
        executor.submit(lambda: 1)


def test_as_many_run_at_once_as_there_are_workers() -> None:
    executor = InferenceExecutor(3)
    barrier = threading.Barrier(3, timeout=10)
    futures = [executor.submit(barrier.wait) for _ in range(3)]
    assert sorted(future.result(10) for future in futures) == [0, 1, 2]
    executor.close()
