"""The scheduler's policy, without threads: who goes first, who waits for company, who keeps a worker free."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scriba.domain.cancel import CancelToken
from scriba.domain.options import DecodingOptions
from scriba.domain.transcript import Task
from scriba.engine.fake import FakeEncoded, FakeEngine
from scriba.engine.port import DecodeRequest
from scriba.engine.scheduler.job import EDGES, IllegalEdgeError, Job, Priority, State
from scriba.engine.scheduler.waiting import ALLOWANCE, LIVE_MEMORY, Waiting
from scriba.engine.steps import Decode, Encode, Flow, company

SOUND = FakeEncoded(np.zeros(16_000, dtype=np.float32), 1.0)
ENGINE = FakeEngine()
ORDER = itertools.count()


def nothing() -> Flow[None]:
    yield Encode(SOUND.audio)


def job(
    priority: Priority = Priority.INTERACTIVE,
    *,
    at: float = 0.0,
    decode: bool = False,
    beam: int = 1,
    short: bool = False,
    patience: float = 0.0,
    reach: float = math.inf,
    expires: float | None = None,
) -> Job:
    options = DecodingOptions(beam_size=beam)
    asked = DecodeRequest("en", Task.TRANSCRIBE, options, 0.0)
    step = Decode(replace(SOUND, full=not short), asked) if decode else Encode(SOUND.audio)
    return Job(
        flow=nothing(),
        engine=ENGINE,
        priority=priority,
        cancel=CancelToken(),
        due=at + ALLOWANCE[priority],
        order=next(ORDER),
        patience=patience,
        reach=reach,
        expires=expires,
        step=step,
        key=company(ENGINE, step),
    )


def waiting(*jobs: Job, workers: int = 1, rows: int = 8, now: float = 0.0) -> Waiting:
    own = Waiting(workers, rows)
    for one in jobs:
        own.add(one, now)
    return own


def test_live_goes_first_then_who_waits_for_an_answer_then_batch() -> None:
    batch, asked, live = job(Priority.BATCH), job(), job(Priority.LIVE)
    own = waiting(batch, asked, live)
    assert [own.take(0.0, []) for _ in range(3)] == [[live], [asked], [batch]]
    assert own.take(0.0, []) == []


def test_equals_go_in_the_order_they_came() -> None:
    jobs = [job() for _ in range(5)]
    own = waiting(*jobs)
    assert [own.take(0.0, [])[0] for _ in range(5)] == jobs


def test_batch_work_is_not_starved_by_a_stream_of_better_work() -> None:
    old = job(Priority.BATCH, at=0.0)
    own = waiting(old)
    now = 0.0
    for _ in range(1000):
        now += 0.1
        own.add(job(Priority.INTERACTIVE, at=now), now)
        if own.take(now, []) == [old]:
            break
    assert now == pytest.approx(ALLOWANCE[Priority.BATCH] - ALLOWANCE[Priority.INTERACTIVE], abs=0.3)


def test_decodings_that_may_wait_let_other_work_go_first_and_then_go_together() -> None:
    first, second = job(decode=True, patience=1.0), job(decode=True, patience=1.0)
    encode = job()
    own = waiting(first, second, encode)
    assert own.take(0.1, []) == [encode]
    assert own.take(0.1, []) == [first, second]


def test_a_decoding_that_has_waited_long_enough_goes_before_other_work() -> None:
    first = job(decode=True, patience=1.0)
    own = waiting(first, job())
    assert own.take(1.5, []) == [first]


def test_a_decoding_lets_go_first_only_what_is_due_soon_after_it() -> None:
    """A clip waits for clips that came with it, not for later windows of a recording or for batch work."""
    clip = job(decode=True, patience=0.25, reach=0.5)
    together, later, batch = job(at=0.1), job(at=1.0), job(Priority.BATCH)
    queue = waiting(clip, together, later, batch)
    assert queue.take(0.0, []) == [together]
    assert queue.take(0.0, []) == [clip]
    assert queue.take(0.0, []) == [later]


def test_one_that_is_urgent_takes_company_along() -> None:
    urgent, patient = job(decode=True), job(decode=True, patience=9.0)
    own = waiting(patient, urgent, job())
    assert set(own.take(0.0, [])) == {urgent, patient}


def test_a_full_batch_goes_at_once() -> None:
    jobs = [job(decode=True, patience=9.0) for _ in range(10)]
    own = waiting(*jobs, job(), rows=8)
    assert own.take(0.0, []) == jobs[:8]


def test_a_beam_takes_its_rows() -> None:
    jobs = [job(decode=True, beam=5) for _ in range(10)]
    assert len(waiting(*jobs, rows=16).take(0.0, [])) == 3
    assert len(waiting(*jobs, rows=4).take(0.0, [])) == 1


def test_an_engine_has_its_own_bounds() -> None:
    jobs = [job(decode=True, beam=5) for _ in range(30)]
    assert len(waiting(*jobs, rows=0).take(0.0, [])) == 20  # the fake engine's windows
    short = [job(decode=True, beam=1, short=True) for _ in range(30)]
    assert len(waiting(*short, rows=0).take(0.0, [])) == 24  # those of little context
    wide = [job(decode=True, beam=50) for _ in range(30)]
    assert len(waiting(*wide, rows=0).take(0.0, [])) == 2  # its rows


def test_only_what_is_alike_is_decoded_together() -> None:
    one, two = job(decode=True, beam=1), job(decode=True, beam=2)
    own = waiting(one, two)
    assert own.take(0.0, []) == [one]
    assert own.take(0.0, []) == [two]


def test_idle_workers_share_what_there_is() -> None:
    jobs = [job(decode=True) for _ in range(4)]
    own = waiting(*jobs, workers=2)
    assert len(own.take(0.0, [])) == 2
    assert len(own.take(0.0, [Priority.INTERACTIVE])) == 2


def test_while_live_work_comes_one_worker_is_kept_for_it() -> None:
    live, other = job(Priority.LIVE), job(Priority.BATCH)
    own = waiting(live, other, workers=2)
    assert own.take(0.0, []) == [live]
    assert own.take(0.1, [Priority.BATCH]) == []
    assert own.take(0.1, [Priority.LIVE]) == [other]
    late = job(Priority.BATCH)
    own.add(late, 0.2)
    assert own.take(LIVE_MEMORY + 0.1, [Priority.BATCH]) == [late]


def test_a_single_worker_is_shared_by_all() -> None:
    live, other = job(Priority.LIVE), job(Priority.BATCH)
    own = waiting(live, other, workers=1)
    assert own.take(0.0, []) == [live]
    assert own.take(0.0, []) == [other]


def test_cancelled_and_expired_jobs_are_found() -> None:
    cancelled, expired, kept = job(), job(expires=1.0), job(expires=9.0)
    own = waiting(cancelled, expired, kept)
    cancelled.cancel.cancel()
    assert own.pop_ended(2.0) == [cancelled, expired]
    assert own.take(2.0, []) == [kept]


@pytest.mark.parametrize("source", list(State))
@pytest.mark.parametrize("target", list(State))
def test_only_named_edges_can_be_taken(source: State, target: State) -> None:
    own = job()
    own.state = source
    if target in EDGES[source]:
        own.become(target)
        assert own.state is target
    else:
        with pytest.raises(IllegalEdgeError):
            own.become(target)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(list(Priority)), st.booleans(), st.sampled_from([1, 2, 5]), st.floats(0, 2)
        ),
        max_size=30,
    ),
    st.integers(1, 4),
    st.integers(1, 16),
)
def test_every_job_is_taken_once_and_batches_keep_their_bounds(
    raw: list[tuple[Priority, bool, int, float]], workers: int, rows: int
) -> None:
    jobs = [job(priority, decode=decode, beam=beam, patience=wait) for priority, decode, beam, wait in raw]
    own = waiting(*jobs, workers=workers, rows=rows)
    taken: list[Job] = []
    while batch := own.take(0.0, []):
        assert len({one.key for one in batch}) == 1
        step = batch[0].step
        if len(batch) > 1:
            assert isinstance(step, Decode)
            assert len(batch) * step.request.rows <= rows
        taken += batch
    assert sorted(one.order for one in taken) == sorted(one.order for one in jobs)
