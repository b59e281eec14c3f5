"""Who may go in, and who is let in when somebody leaves."""

from __future__ import annotations

from scriba.live.gate import Gate


def test_so_many_go_in_and_the_others_in_the_order_in_which_they_came() -> None:
    gate = Gate(2)
    woken: list[str] = []

    def enter(stream: str) -> bool:
        return gate.enter(stream, lambda: woken.append(stream))

    assert [enter(stream) for stream in "abcd"] == [True, True, False, False]
    assert [enter(stream) for stream in "dca"] == [False, False, True]
    assert woken == []
    gate.leave("b")
    assert woken == ["c"]
    assert enter("c")
    assert not enter("b")
    gate.leave("a")
    gate.leave("c")
    assert woken == ["c", "d", "b"]
    assert [enter(stream) for stream in "dba"] == [True, True, False]


def test_who_leaves_while_waiting_is_not_called() -> None:
    gate = Gate(1)
    woken: list[str] = []
    for stream in "abc":
        gate.enter(stream, lambda stream=stream: woken.append(stream))  # type: ignore[misc]
    gate.leave("b")
    gate.leave("stranger")

    gate.leave("a")

    assert woken == ["c"]
