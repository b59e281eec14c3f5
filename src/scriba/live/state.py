"""The states of a live session, and every edge there is.

::

    OPEN --client gone--> DETACHED --client back--> OPEN
    OPEN, DETACHED --finish, or nobody came back in time--> FINISHING
    FINISHING --all audio heard--> FINISHED
    OPEN, DETACHED, FINISHING --the engine or the disk failed--> FAILED
    OPEN, DETACHED, FINISHING --the server stops--> SUSPENDED   (on disk; resuming it makes a new OPEN)
    any but ENDED --deleted or expired--> ENDED
"""

from __future__ import annotations

from enum import StrEnum


class SessionState(StrEnum):
    OPEN = "open"
    DETACHED = "detached"
    FINISHING = "finishing"
    FINISHED = "finished"
    FAILED = "failed"
    SUSPENDED = "suspended"
    ENDED = "ended"


EDGES: dict[SessionState, frozenset[SessionState]] = {
    SessionState.OPEN: frozenset(
        {
            SessionState.DETACHED,
            SessionState.FINISHING,
            SessionState.FAILED,
            SessionState.SUSPENDED,
            SessionState.ENDED,
        }
    ),
    SessionState.DETACHED: frozenset(
        {
            SessionState.OPEN,
            SessionState.FINISHING,
            SessionState.FAILED,
            SessionState.SUSPENDED,
            SessionState.ENDED,
        }
    ),
    SessionState.FINISHING: frozenset(
        {SessionState.FINISHED, SessionState.FAILED, SessionState.SUSPENDED, SessionState.ENDED}
    ),
    SessionState.FINISHED: frozenset({SessionState.ENDED}),
    SessionState.FAILED: frozenset({SessionState.ENDED}),
    SessionState.SUSPENDED: frozenset({SessionState.ENDED}),
    SessionState.ENDED: frozenset(),
}

TAKES_AUDIO = frozenset({SessionState.OPEN, SessionState.DETACHED})
WORKING = TAKES_AUDIO | {SessionState.FINISHING}


class IllegalEdgeError(RuntimeError):
    """A session was asked to become what it cannot: a fault of Scriba's, never of a user's."""


def take_edge(present: SessionState, following: SessionState) -> SessionState:
    """``following``, if there is such an edge.

    Raises:
        IllegalEdgeError: there is none.
    """
    if following not in EDGES[present]:
        raise IllegalEdgeError(f"A live session that is {present} cannot become {following}.")
    return following
