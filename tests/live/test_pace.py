"""How much is done for a stream as the machine fills up."""

from __future__ import annotations

import pytest

from scriba.live.options import SettlePolicy
from scriba.live.pace import AT_EASE, Effort, Pace


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def pace_of(clock: Clock, turnaround: float, under_way: int) -> Pace:
    """After many hearings of that length, with so many more just begun."""
    pace = Pace(2, clock)
    for _ in range(40):
        began = pace.began()
        clock.now += turnaround
        pace.ended(began)
    for _ in range(under_way):
        pace.began()
    return pace


def test_with_room_everything_is_heard() -> None:
    pace = pace_of(Clock(), 0.2, 2)

    assert pace.effort(0.4) == AT_EASE
    assert pace.company == 0.0
    assert not pace.full


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
    pace = Pace(2, clock)

    def hear_each(count: int) -> None:
        for stream in range(count):
            began = pace.began(stream)
            clock.now += 0.05
            pace.ended(began)

    hear_each(2)
    assert pace.effort(0.4) == AT_EASE
    hear_each(3)
    assert pace.effort(0.4) == Effort(hurry=True, greedy=True, thrift=True)
    clock.now += 2.0
    hear_each(2)
    assert pace.effort(0.4) == AT_EASE


def test_one_stream_more_is_refused_when_hearings_take_long() -> None:
    assert pace_of(Clock(), 1.0, 8).full


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
