"""Who is loaded, when it goes, and what two threads see."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from scriba.domain.errors import ModelUnavailableError
from scriba.models.residency import Residency


class Thing:
    def __init__(self, key: str = "") -> None:
        self.key = key
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_loaded_once_and_shared() -> None:
    residency: Residency[Thing] = Residency()
    loads: list[Thing] = []

    def load() -> Thing:
        loads.append(Thing())
        return loads[-1]

    with residency.acquire("a", load, 1) as first, residency.acquire("a", load, 1) as second:
        assert first is second
        assert residency.resident() == {"a": 2}
    assert residency.resident() == {"a": 0}
    with residency.acquire("a", load, 1) as third:
        assert third is loads[0]
    assert len(loads) == 1


def test_the_second_thread_waits_for_the_first_ones_load() -> None:
    residency: Residency[Thing] = Residency()
    loading, go = threading.Event(), threading.Event()
    loads, seen = [], []

    def load() -> Thing:
        loads.append(1)
        loading.set()
        assert go.wait(10)
        return Thing()

    def use() -> None:
        with residency.acquire("a", load, 1) as thing:
            seen.append(thing)

    threads = [threading.Thread(target=use) for _ in range(8)]
    threads[0].start()
    assert loading.wait(10)
    for thread in threads[1:]:
        thread.start()
    assert seen == []
    go.set()
    for thread in threads:
        thread.join(10)
    assert len(loads) == 1
    assert len(set(map(id, seen))) == 1
    assert len(seen) == 8


def test_a_failed_load_is_told_to_all_who_wait_and_tried_again_later() -> None:
    residency: Residency[Thing] = Residency(budget_bytes=10)
    loading, go = threading.Event(), threading.Event()
    failures: list[BaseException] = []

    def fail() -> Thing:
        loading.set()
        assert go.wait(10)
        raise OSError("broken")

    def use() -> None:
        try:
            with residency.acquire("a", fail, 10):
                raise AssertionError
        except OSError as error:
            failures.append(error)

    threads = [threading.Thread(target=use) for _ in range(2)]
    threads[0].start()
    assert loading.wait(10)
    threads[1].start()
    while residency._slots["a"].users < 2:
        pass
    go.set()
    for thread in threads:
        thread.join(10)
    assert len(failures) == 2
    assert residency.used_bytes == 0
    with residency.acquire("a", Thing, 10) as thing:
        assert isinstance(thing, Thing)


def test_loading_one_key_does_not_hold_up_another() -> None:
    residency: Residency[Thing] = Residency()
    loading, go = threading.Event(), threading.Event()

    def slow() -> Thing:
        loading.set()
        assert go.wait(10)
        return Thing()

    def use() -> None:
        with residency.acquire("slow", slow, 1):
            pass

    thread = threading.Thread(target=use)
    thread.start()
    assert loading.wait(10)
    with residency.acquire("fast", Thing, 1):
        assert residency.resident() == {"fast": 1}
    go.set()
    thread.join(10)


def test_idle_ones_go_after_their_time_and_pinned_ones_stay() -> None:
    clock = Clock()
    residency: Residency[Thing] = Residency(ttl=60, pinned=lambda key: key == "default", clock=clock)
    for key in ("a", "default"):
        with residency.acquire(key, Thing, 1):
            pass
    with residency.acquire("b", Thing, 1) as busy:
        assert residency.next_sweep() == 60
        clock.now = 59.9
        assert residency.sweep() == []
        clock.now = 60
        assert residency.sweep() == ["a"]
        clock.now = 1000
        assert residency.sweep() == []
        assert busy.closed == 0
    assert residency.next_sweep() == 60
    clock.now = 1060
    assert residency.sweep() == ["b"]
    assert busy.closed == 1
    assert list(residency.resident()) == ["default"]
    assert residency.next_sweep() is None


def test_the_longest_idle_makes_room_and_the_pinned_last() -> None:
    clock = Clock()
    residency: Residency[Thing] = Residency(budget_bytes=30, pinned=lambda key: key == "default", clock=clock)
    for key in ("default", "old", "new"):
        clock.now += 1
        with residency.acquire(key, Thing, 10):
            pass
    with residency.acquire("next", Thing, 10):
        assert set(residency.resident()) == {"default", "new", "next"}
    with residency.acquire("large", Thing, 25):
        assert set(residency.resident()) == {"large"}


def test_what_is_in_use_is_never_evicted() -> None:
    residency: Residency[Thing] = Residency(budget_bytes=20)
    with residency.acquire("a", Thing, 15) as busy:
        with (
            pytest.raises(ModelUnavailableError, match="no memory for the model now"),
            residency.acquire("b", Thing, 10),
        ):
            raise AssertionError
        assert busy.closed == 0
    with residency.acquire("b", Thing, 10):
        assert busy.closed == 1


def test_a_model_larger_than_the_budget_is_refused_without_evicting() -> None:
    residency: Residency[Thing] = Residency(budget_bytes=20_000_000)
    with residency.acquire("a", Thing, 15):
        pass
    with (
        pytest.raises(ModelUnavailableError, match="about 21 MB of memory; the limit is 20 MB"),
        residency.acquire("b", Thing, 21_000_000),
    ):
        raise AssertionError
    assert list(residency.resident()) == ["a"]


def test_unload_only_what_nobody_uses() -> None:
    residency: Residency[Thing] = Residency()
    assert not residency.unload("a")
    with residency.acquire("a", Thing, 1) as thing:
        assert not residency.unload("a")
    assert residency.unload("a")
    assert thing.closed == 1


def test_close_waits_for_users_and_refuses_new_ones() -> None:
    residency: Residency[Thing] = Residency()
    with residency.acquire("idle", Thing, 1) as idle:
        pass
    with residency.acquire("busy", Thing, 1) as busy:
        residency.close()
        assert (idle.closed, busy.closed) == (1, 0)
        with pytest.raises(ModelUnavailableError), residency.acquire("busy", Thing, 1):
            raise AssertionError
    assert busy.closed == 1
    residency.close()
    assert busy.closed == 1


class Machine(RuleBasedStateMachine):
    """Any order of acquiring, leaving, waiting and sweeping keeps the books right."""

    @initialize(budget=st.integers(10, 40), ttl=st.integers(1, 20))
    def start(self, budget: int, ttl: int) -> None:
        self.clock, self.budget = Clock(), budget
        self.residency: Residency[Thing] = Residency(budget_bytes=budget, ttl=ttl, clock=self.clock)
        self.things: list[Thing] = []
        self.open: list[tuple[AbstractContextManager[Thing], Thing]] = []

    def _loader(self, key: str) -> Callable[[], Thing]:
        def load() -> Thing:
            self.things.append(Thing(key))
            return self.things[-1]

        return load

    @rule(number=st.integers(0, 5))
    def acquire(self, number: int) -> None:
        size = 5 + 3 * number
        manager = self.residency.acquire(str(number), self._loader(str(number)), size)
        try:
            thing = manager.__enter__()
        except ModelUnavailableError:
            used = {thing.key for _, thing in self.open}
            assert sum(5 + 3 * int(key) for key in used) + size > self.budget
            return
        assert thing.key == str(number)
        assert not thing.closed
        self.open.append((manager, thing))

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        manager, _ = self.open.pop(data.draw(st.integers(0, len(self.open) - 1)))
        manager.__exit__(None, None, None)

    @rule(seconds=st.integers(0, 15))
    def wait(self, seconds: int) -> None:
        self.clock.now += seconds
        self.residency.sweep()
        assert self.residency.next_sweep() != 0

    @invariant()
    def books_are_right(self) -> None:
        if not hasattr(self, "residency"):
            return
        assert self.residency.used_bytes <= self.budget
        assert all(not thing.closed for _, thing in self.open)
        assert all(thing.closed <= 1 for thing in self.things)
        alive = [thing.key for thing in self.things if not thing.closed]
        assert sorted(alive) == sorted(self.residency.resident())


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
