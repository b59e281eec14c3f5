"""A flow in the hands of the scheduler, and the states it can be in.

::

    WAITING --take--> RUNNING --step done, another follows--> WAITING
    RUNNING --flow returned--> DONE
    RUNNING --engine or flow raised, or hung--> FAILED
    WAITING --expired--> FAILED
    WAITING --cancel--> CANCELLED
    RUNNING --cancelled while running--> CANCELLED   (its result is dropped at the end of the step)
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import Any

from scriba.domain.cancel import CancelToken
from scriba.engine.port import Engine
from scriba.engine.steps import Flow, Step


class Priority(IntEnum):
    """Lower goes first: a live word, then somebody waiting for an answer, then a queued job."""

    LIVE = 0
    INTERACTIVE = 1
    BATCH = 2


class State(Enum):
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


EDGES: dict[State, frozenset[State]] = {
    State.WAITING: frozenset({State.RUNNING, State.FAILED, State.CANCELLED}),
    State.RUNNING: frozenset({State.WAITING, State.DONE, State.FAILED, State.CANCELLED}),
    State.DONE: frozenset(),
    State.FAILED: frozenset(),
    State.CANCELLED: frozenset(),
}


class IllegalEdgeError(RuntimeError):
    """A state was asked to become one that it cannot: a fault of the scheduler, never of a user."""


@dataclass(eq=False, slots=True)
class Job:
    """``due`` orders the queue: the time of submission plus what its class may be made to wait."""

    flow: Flow[Any]
    engine: Engine | None
    """None for flows of calls alone."""
    priority: Priority
    cancel: CancelToken
    due: float
    order: int
    patience: float
    """Seconds a decoding of this job may wait for company."""
    expires: float | None
    future: Future[Any] = field(default_factory=Future)
    state: State = State.WAITING
    step: Step | None = None
    key: Hashable | None = None
    since: float = 0.0
    """When the present step began to wait."""
    reach: float = math.inf
    """While it waits for company, only steps that are due at most so many seconds after it go first."""

    def become(self, state: State) -> None:
        """Take an edge.

        Raises:
            IllegalEdgeError: there is none.
        """
        if state not in EDGES[self.state]:
            raise IllegalEdgeError(f"{self.state.value} cannot become {state.value}")
        self.state = state
