"""Interleaved rounds: each has every system, so that what the machine does meanwhile meets all alike."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

Run = Callable[[], Mapping[str, float]]
"""One run of one system: quantities by name, such as ``{"seconds": 1.5}``."""
QUOTABLE_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Series:
    """One quantity of one system, a value for each round."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return median(self.values)

    @property
    def span(self) -> list[float]:
        """The least and the greatest value."""
        return [min(self.values), max(self.values)]


Measured = dict[str, dict[str, Series]]
"""System, then quantity."""


def order(names: Sequence[str], number: int) -> list[str]:
    """The systems in the order of round ``number``: rotated, so that none always follows the same pause."""
    shift = number % len(names) if names else 0
    return [*names[shift:], *names[:shift]]


def interleave(
    systems: Mapping[str, Run], rounds: int, tell: Callable[[str], None] | None = None
) -> Measured:
    """Run every system once in each round. An exception of a run ends it all: no failure is averaged away.

    Raises:
        ValueError: there are no rounds.
    """
    if rounds < 1:
        raise ValueError(f"rounds must be at least 1, not {rounds}.")
    found: dict[str, dict[str, list[float]]] = {name: {} for name in systems}
    for number in range(rounds):
        for name in order(list(systems), number):
            values = systems[name]()
            for quantity, value in values.items():
                found[name].setdefault(quantity, []).append(value)
            shown = ", ".join(f"{quantity} {value:.3g}" for quantity, value in values.items())
            (tell or say)(f"  round {number + 1} of {rounds}: {name}: {shown}")
    return {
        name: {quantity: Series(tuple(values)) for quantity, values in quantities.items()}
        for name, quantities in found.items()
    }


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile: the least value that at least ``share`` (0 to 1) of all do not pass."""
    if not values:
        return math.nan
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def say(text: str) -> None:
    """A line about progress, for whoever waits."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
