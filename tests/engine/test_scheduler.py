"""The scheduler with its threads: results, batches, cancel in every state, failure, hanging, refusal."""

from __future__ import annotations

import threading
import time
from collections.abc import Hashable, Iterator
from concurrent.futures import CancelledError, Future
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from scriba.domain.cancel import CancelToken
from scriba.domain.errors import CancelledByUserError, EngineError, OverloadedError
from scriba.domain.options import DecodingOptions
from scriba.domain.transcript import Task
from scriba.engine.fake import FakeEncoded, FakeEngine, says
from scriba.engine.port import Decoded, DecodeRequest, Encoded
from scriba.engine.scheduler import Priority, Scheduler
from scriba.engine.steps import Decode, Encode, Flow, run_inline

SOUND = np.zeros(16_000, dtype=np.float32)
REQUEST = DecodeRequest("en", Task.TRANSCRIBE, DecodingOptions(beam_size=1), 0.0)


def hear() -> Flow[str]:
    encoded = yield Encode(SOUND)
    decoded = yield Decode(encoded, REQUEST)
    return str(decoded.phrases[0].text)


class Gate:
    """An engine whose decodings wait until the gate is opened."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.entered = threading.Semaphore(0)
        self.engine = FakeEngine(script=self._script)

    def _script(self, encoded: FakeEncoded, request: DecodeRequest) -> Decoded:
        self.entered.release()
        assert self.open.wait(20)
        return says("heard")

    def wait_until_entered(self) -> None:
        assert self.entered.acquire(timeout=10)


@pytest.fixture
def scheduler() -> Iterator[Scheduler]:
    own = Scheduler(1)
    yield own
    own.close(timeout=10)


def test_what_waits_and_has_waited_is_told_class_by_class(scheduler: Scheduler) -> None:
    gate = Gate()
    first = scheduler.submit(hear(), gate.engine, priority=Priority.LIVE)
    gate.wait_until_entered()
    second = scheduler.submit(hear(), gate.engine, priority=Priority.BATCH)
    time.sleep(0.05)
    load = scheduler.load()
    assert (load[Priority.LIVE].waiting, load[Priority.LIVE].begun) == (0, 2)
    assert (load[Priority.BATCH].waiting, load[Priority.BATCH].begun) == (1, 0)
    gate.open.set()
    first.result(10)
    second.result(10)
    load = scheduler.load()
    assert load[Priority.LIVE].p95 < 0.05 <= load[Priority.BATCH].p95
    assert load[Priority.INTERACTIVE].begun == load[Priority.INTERACTIVE].median == 0


def ended(future: Future[Any]) -> BaseException | None:
    try:
        return future.exception(10)
    except CancelledError as error:
        return error


def test_a_flow_gets_its_results_and_gives_its_own(scheduler: Scheduler) -> None:
    assert scheduler.submit(hear(), FakeEngine(script=lambda *_: says("hello"))).result(10) == " hello"
    assert run_inline(hear(), FakeEngine(script=lambda *_: says("hello"))) == " hello"


def test_a_flow_without_steps_is_done_at_once(scheduler: Scheduler) -> None:
    def flow(*, steps: int = 0) -> Flow[int]:
        for _ in range(steps):
            yield Encode(SOUND)
        return 7

    assert scheduler.submit(flow(), FakeEngine()).result(0) == 7


def test_inference_without_an_engine_has_its_turn(scheduler: Scheduler) -> None:
    assert scheduler.call(lambda: 6 * 7).result(5) == 42

    def fail() -> None:
        raise EngineError("It failed.")

    with pytest.raises(EngineError, match="It failed"):
        scheduler.call(fail).result(5)
    assert scheduler.call(lambda: "and the worker lives").result(5) == "and the worker lives"


class Choosy(FakeEngine):
    """Knows no place for requests in French."""

    def batch_key(self, encoded: Encoded, request: DecodeRequest) -> Hashable:
        return {"en": 1}[request.language]


def test_a_request_the_engine_cannot_place_ends_its_own_job_alone(scheduler: Scheduler) -> None:
    def french() -> Flow[str]:
        encoded = yield Encode(SOUND)
        decoded = yield Decode(encoded, replace(REQUEST, language="fr"))
        return str(decoded.phrases[0].text)

    engine = Choosy(script=lambda *_: says("hello"))
    with pytest.raises(KeyError):
        scheduler.submit(french(), engine).result(10)
    assert scheduler.submit(hear(), engine).result(10) == " hello"


def test_live_work_goes_before_calls_of_a_job() -> None:
    scheduler = Scheduler(1)
    order: list[str] = []
    free = threading.Event()
    held = scheduler.call(lambda: free.wait(5), priority=Priority.BATCH)
    calls: list[Future[Any]] = [
        scheduler.call(lambda: order.append("job"), priority=Priority.BATCH) for _ in range(3)
    ]
    calls.append(scheduler.call(lambda: order.append("live"), priority=Priority.LIVE))
    free.set()
    for call in (held, *calls):
        call.result(5)
    scheduler.close()
    assert order == ["live", "job", "job", "job"]


def test_a_call_that_waits_can_be_cancelled(scheduler: Scheduler) -> None:
    free, cancel = threading.Event(), CancelToken()
    held = [scheduler.call(lambda: free.wait(5)) for _ in range(scheduler.workers)]
    waiting = scheduler.call(lambda: pytest.fail("it ran"), cancel=cancel)
    cancel.cancel()
    free.set()
    with pytest.raises(CancelledByUserError):
        waiting.result(5)
    for call in held:
        call.result(5)


def test_what_waits_meanwhile_is_decoded_together(scheduler: Scheduler) -> None:
    gate = Gate()
    first = scheduler.submit(hear(), gate.engine)
    gate.wait_until_entered()
    others = [scheduler.submit(hear(), gate.engine, patience=5.0) for _ in range(5)]
    gate.open.set()
    assert [future.result(10) for future in (first, *others)] == [" heard"] * 6
    assert gate.engine.batches == [1, 5]


def test_each_of_a_batch_gets_its_own_answer() -> None:
    own = Scheduler(2)

    def flow(samples: int) -> Flow[str]:
        encoded = yield Encode(np.zeros(samples, dtype=np.float32))
        decoded = yield Decode(encoded, REQUEST)
        return str(decoded.phrases[0].text)

    engine = FakeEngine()
    futures = {n: own.submit(flow(n * 16_000), engine, patience=0.2) for n in range(1, 20)}
    assert {n: future.result(10) for n, future in futures.items()} == {
        n: f" {n}.0 seconds" for n in range(1, 20)
    }
    own.close(timeout=10)


def test_cancel_while_waiting_never_reaches_the_engine(scheduler: Scheduler) -> None:
    gate = Gate()
    running = scheduler.submit(hear(), gate.engine)
    gate.wait_until_entered()
    token = CancelToken()
    engine = FakeEngine()
    future = scheduler.submit(hear(), engine, cancel=token)
    token.cancel()
    assert isinstance(ended(future), CancelledByUserError)  # though the only worker is still busy
    gate.open.set()
    running.result(10)
    assert engine.requests == []


def test_cancel_while_running_drops_the_result(scheduler: Scheduler) -> None:
    gate = Gate()
    token = CancelToken()
    future = scheduler.submit(hear(), gate.engine, cancel=token)
    gate.wait_until_entered()
    token.cancel()
    gate.open.set()
    assert isinstance(ended(future), CancelledByUserError)


def test_cancelling_the_future_is_as_good(scheduler: Scheduler) -> None:
    gate = Gate()
    running = scheduler.submit(hear(), gate.engine)
    gate.wait_until_entered()
    engine = FakeEngine()
    future = scheduler.submit(hear(), engine)
    assert future.cancel()
    gate.open.set()
    running.result(10)
    assert scheduler.submit(hear(), FakeEngine()).result(10)
    assert engine.requests == []


def test_one_of_a_batch_can_be_cancelled_alone(scheduler: Scheduler) -> None:
    gate = Gate()
    first = scheduler.submit(hear(), gate.engine)
    gate.wait_until_entered()
    token = CancelToken()
    cancelled = scheduler.submit(hear(), gate.engine, cancel=token, patience=5.0)
    kept = scheduler.submit(hear(), gate.engine, patience=5.0)
    gate.open.set()
    first.result(10)
    token.cancel()
    assert kept.result(10) == " heard"
    assert cancelled.done()


def test_an_engine_that_raises_fails_its_batch_and_no_other(scheduler: Scheduler) -> None:
    def script(encoded: FakeEncoded, request: DecodeRequest) -> Decoded:
        raise EngineError("The model failed.")

    bad = [scheduler.submit(hear(), FakeEngine(script=script)) for _ in range(2)]
    good = scheduler.submit(hear(), FakeEngine())
    assert all(isinstance(ended(future), EngineError) for future in bad)
    assert good.result(10)


def test_a_flow_may_handle_what_the_engine_raises(scheduler: Scheduler) -> None:
    def script(encoded: FakeEncoded, request: DecodeRequest) -> Decoded:
        raise EngineError("no")

    def flow() -> Flow[str]:
        encoded = yield Encode(SOUND)
        try:
            yield Decode(encoded, REQUEST)
        except EngineError:
            return "handled"
        return "not raised"

    assert scheduler.submit(flow(), FakeEngine(script=script)).result(10) == "handled"


def test_a_flow_that_raises_fails_itself(scheduler: Scheduler) -> None:
    def flow() -> Flow[None]:
        yield Encode(SOUND)
        raise ValueError("mine")

    assert isinstance(ended(scheduler.submit(flow(), FakeEngine())), ValueError)
    assert scheduler.submit(hear(), FakeEngine()).result(10)


def test_an_engine_that_hangs_costs_its_jobs_and_a_thread_but_not_the_device() -> None:
    own = Scheduler(1, hang_seconds=0.3)
    gate = Gate()
    hung = own.submit(hear(), gate.engine)
    gate.wait_until_entered()
    behind = own.submit(hear(), FakeEngine(script=lambda *_: says("next")))
    error = ended(hung)
    assert isinstance(error, EngineError)
    assert "in time" in error.message
    assert behind.result(10) == " next"
    gate.open.set()  # the lost thread comes back to nobody
    assert own.submit(hear(), FakeEngine()).result(10)
    own.close(timeout=10)


def test_what_expires_is_told_so_even_while_the_worker_is_busy(scheduler: Scheduler) -> None:
    gate = Gate()
    running = scheduler.submit(hear(), gate.engine)
    gate.wait_until_entered()
    late = scheduler.submit(hear(), gate.engine, expires_in=0.1)
    assert isinstance(ended(late), OverloadedError)
    gate.open.set()
    running.result(10)


def test_too_much_of_one_class_is_refused_at_once_and_says_how_long_to_wait() -> None:
    own = Scheduler(1, bounds={Priority.BATCH: 2})
    gate = Gate()
    running = own.submit(hear(), gate.engine)
    gate.wait_until_entered()
    queued = [own.submit(hear(), gate.engine, priority=Priority.BATCH) for _ in range(2)]
    with pytest.raises(OverloadedError) as caught:
        own.submit(hear(), gate.engine, priority=Priority.BATCH)
    assert caught.value.retry_after >= 1
    live = own.submit(hear(), gate.engine, priority=Priority.LIVE)
    gate.open.set()
    for future in (running, live, *queued):
        future.result(10)
    own.close(timeout=10)


def test_two_users_advance_side_by_side() -> None:
    """A second user with one window is not behind the hundred of the first."""
    own = Scheduler(1)
    engine = FakeEngine(cost=0.01)
    hundred = [own.submit(hear(), engine, priority=Priority.BATCH, patience=1.0) for _ in range(100)]
    one = own.submit(hear(), FakeEngine(cost=0.01))
    one.result(10)
    assert sum(future.done() for future in hundred) < 30
    for future in hundred:
        future.result(20)
    own.close(timeout=10)


def test_close_answers_everybody() -> None:
    own = Scheduler(1)
    gate = Gate()
    running = own.submit(hear(), gate.engine)
    gate.wait_until_entered()
    waiting = own.submit(hear(), FakeEngine())
    closer = threading.Thread(target=own.close)
    closer.start()
    assert isinstance(ended(waiting), CancelledByUserError)
    gate.open.set()
    closer.join(10)
    assert not closer.is_alive()
    with pytest.raises(EngineError):
        own.submit(hear(), FakeEngine())
    assert running.done() or isinstance(ended(running), BaseException)


def test_many_threads_many_flows() -> None:
    own = Scheduler(3, max_rows=4)
    engine = FakeEngine(cost=0.001)
    results: list[str] = []

    def user() -> None:
        results.extend(own.submit(hear(), engine, patience=0.01).result(20) for _ in range(10))

    threads = [threading.Thread(target=user) for _ in range(16)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(results) == 160
    assert max(engine.batches) <= 4
    assert time.monotonic() - began < 30
    own.close(timeout=10)
