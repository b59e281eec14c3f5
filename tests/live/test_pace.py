"""How much is done for a stream as the machine fills up."""

from __future__ import annotations

import pytest

from scriba.live.options import SettlePolicy
from scriba.live.pace import AT_EASE, Effort, Pace


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def pace_of(clock: Clock, turnaround: float, under_way: int, busy: float = 0.0) -> Pace:
    """After many hearings of that length, with so many more just begun; ``busy``: a worker's seconds each."""
    spent = [0.0]
    pace = Pace(2, lambda: spent[0], clock)
    for _ in range(40):
        pace.ask("early")
        clock.now += turnaround
        spent[0] += busy
        pace.answer("early")
    pace.depart("early")
    for stream in range(under_way):
        pace.ask(stream)
    return pace


def test_with_room_everything_is_heard() -> None:
    pace = pace_of(Clock(), 0.2, 2)

    assert pace.effort(0.4) == AT_EASE
    assert pace.company == 0.0
    assert pace.refusal() is None


def test_a_slow_model_alone_leaves_out_hearings_and_its_beam_and_only_then_sound() -> None:
    assert pace_of(Clock(), 0.39, 1).effort(0.4) == AT_EASE
    assert pace_of(Clock(), 0.5, 1).effort(0.4) == Effort(hurry=True, greedy=True)
    assert pace_of(Clock(), 0.9, 1).effort(0.4) == Effort(hurry=True, greedy=True, thrift=True)


def test_the_fuller_the_machine_the_rarer_the_hearings() -> None:
    efforts = [pace_of(Clock(), turnaround, 8).effort(0.4) for turnaround in (0.1, 0.2, 0.4, 5.0)]

    assert all(effort.hurry and effort.greedy and effort.thrift for effort in efforts)
    assert [effort.stretch for effort in efforts] == pytest.approx([1, 1.25, 2.5, 4], rel=0.01)


def test_more_streams_than_workers_are_thrifty_also_while_none_of_them_waits() -> None:
    clock = Clock()
    pace = Pace(2, clock=clock)

    def hear_each(count: int) -> None:
        for stream in range(count):
            pace.ask(stream)
            clock.now += 0.05
            pace.answer(stream)

    hear_each(2)
    assert pace.effort(0.4) == AT_EASE
    hear_each(3)
    assert pace.effort(0.4) == Effort(hurry=True, greedy=True, thrift=True)
    clock.now += 2.0
    hear_each(2)
    assert pace.effort(0.4) == AT_EASE


def test_one_stream_more_is_refused_when_hearings_take_long() -> None:
    assert pace_of(Clock(), 1.0, 8).refusal() == "hearing a few words takes 1.0 s"


def test_one_stream_more_is_refused_when_each_would_be_heard_too_rarely() -> None:
    pace = pace_of(Clock(), 0.2, 4, busy=0.4)

    assert pace.cost == pytest.approx(0.4, rel=0.05)
    assert pace.refusal() is None
    assert pace.refusal(opening=2) == "with one more, each would be heard every 1.4 s only"
    pace.ask("one more")
    pace.ask("and one")
    assert pace.refusal() is not None
    pace.depart("and one")
    assert pace.refusal() is None


def test_those_who_came_just_now_count_before_they_are_heard() -> None:
    clock = Clock()
    pace = Pace(2, clock=clock)
    pace.cost = 0.5

    def come() -> list[int]:
        taken = []
        for stream in range(16):
            if pace.refusal() is None:
                pace.arrive(stream)
                taken.append(stream)
        return taken

    assert come() == [0, 1, 2, 3, 4]
    clock.now += 6.0  # none of them said anything
    assert pace.refusal() is None


def test_what_a_session_was_waiting_for_when_it_ended_is_not_waited_for() -> None:
    clock = Clock()
    pace = pace_of(clock, 3.0, 3)
    before = pace.crowded

    for stream in range(3):
        pace.depart(stream)

    assert (before, pace.crowded) == (True, False)
    clock.now += 6.0
    assert pace.turnaround == 0.0


def test_after_a_while_without_work_nothing_is_known() -> None:
    clock = Clock()
    pace = pace_of(clock, 3.0, 0)
    clock.now += 6.0

    assert pace.turnaround == 0.0


def test_what_is_waited_longer_for_a_hearing_is_waited_less_for_evidence() -> None:
    usual = SettlePolicy()
    rare = usual.at(3)

    assert usual.at(1) == usual
    assert rare.clear < usual.clear
    assert rare.clear <= rare.patience <= usual.patience - 2 * usual.step + 1e-9
