"""Growing the text of one window: greedily, by sampling, or with a beam (openai/whisper ``decoding.py``)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from scriba.engine.search.rules import TokenRules, Weighed

_ROWS = 256


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """Tokens without the end token, and the sum of the log probabilities of all, the end token included."""

    tokens: tuple[int, ...]
    log_probability: float


@dataclass(frozen=True, slots=True)
class Next:
    """The tokens to be read next, and of which of the window's rows each is the continuation."""

    tokens: list[int]
    parents: list[int]


class Search(Protocol):
    """One window's search. Begins with one row; ``width`` rows after its first token."""

    @property
    def width(self) -> int: ...

    def advance(self, logits: NDArray[np.float32]) -> Next | None:
        """Choose the next tokens.

        Args:
            logits: shape ``(rows, vocabulary)``, one row for each sequence read last. Changed.

        Returns:
            None when the search has ended.
        """
        ...

    def best(self) -> Hypothesis: ...


class Greedy:
    """The most likely token, always."""

    width = 1

    def __init__(self, rules: TokenRules, end: int, limit: int) -> None:
        """
        Args:
            limit: the most tokens, 1 or more.
        """
        self._rules, self._end, self._limit = rules, end, limit
        self._tokens: list[int] = []
        self.log_probabilities: list[float] = []
        """Of each token, the end token included where it was reached."""

    def advance(self, logits: NDArray[np.float32]) -> Next | None:
        weighed = self._rules.weigh(logits[0], self._tokens)
        token = int(weighed.logits.argmax())
        self.log_probabilities.append(float(weighed.logits[token]) - weighed.log_sum)
        if token == self._end:
            return None
        self._tokens.append(token)
        if len(self._tokens) >= self._limit or repeats_itself(self._tokens):
            return None
        return Next([token], [0])

    def best(self) -> Hypothesis:
        return Hypothesis(tuple(self._tokens), sum(self.log_probabilities))


class Sampling:
    """Several texts, each token drawn by its probability at a temperature; the most likely text wins."""

    def __init__(
        self,
        rules: TokenRules,
        end: int,
        limit: int,
        *,
        count: int,
        temperature: float,
        length_penalty: float,
        random: np.random.Generator,
    ) -> None:
        """
        Args:
            count: texts drawn.
            length_penalty: exponent of the length by which a text's log probability is divided.
        """
        self.width = count
        self._rules, self._end, self._limit = rules, end, limit
        self._temperature, self._penalty, self._random = temperature, length_penalty, random
        self._tokens: list[list[int]] = [[] for _ in range(count)]
        self._sums = [0.0] * count
        self._ended = [False] * count

    def advance(self, logits: NDArray[np.float32]) -> Next | None:
        only_one = len(logits) == 1
        for row, tokens in enumerate(self._tokens):
            if self._ended[row]:
                continue
            own = logits[0].copy() if only_one else logits[row]
            weighed = self._rules.weigh(own, tokens)
            token = _draw(weighed, self._temperature, self._random)
            self._sums[row] += float(weighed.logits[token]) - weighed.log_sum
            if token == self._end:
                self._ended[row] = True
                continue
            tokens.append(token)
            self._ended[row] = len(tokens) >= self._limit or repeats_itself(tokens)
        if all(self._ended):
            return None
        read = [self._end if ended else own[-1] for own, ended in zip(self._tokens, self._ended, strict=True)]
        return Next(read, [0] * self.width if only_one else list(range(self.width)))

    def best(self) -> Hypothesis:
        found = [Hypothesis(tuple(own), total) for own, total in zip(self._tokens, self._sums, strict=True)]
        return max(found, key=lambda own: _score(own, self._penalty))


class Beam:
    """The ``size`` most likely beginnings side by side, until ``size * patience`` texts have ended."""

    def __init__(
        self, rules: TokenRules, end: int, limit: int, *, size: int, patience: float, length_penalty: float
    ) -> None:
        self.width = size
        self._rules, self._end, self._limit = rules, end, limit
        self._wanted = max(1, round(size * patience))
        self._penalty = length_penalty
        self._beams = [Hypothesis((), 0.0)]
        self._ended: list[Hypothesis] = []

    def advance(self, logits: NDArray[np.float32]) -> Next | None:
        candidates: list[tuple[float, int, int]] = []
        for row, beam in enumerate(self._beams):
            if beam.log_probability == -np.inf:
                continue
            weighed = self._rules.weigh(logits[row], beam.tokens)
            base = beam.log_probability - weighed.log_sum
            candidates += [
                (base + float(weighed.logits[token]), row, int(token))
                for token in _highest(weighed.logits, self.width + 1)
            ]
        candidates.sort(key=lambda own: -own[0])
        grown: list[Hypothesis] = []
        parents: list[int] = []
        for total, row, token in candidates:
            tokens = self._beams[row].tokens
            if token == self._end:
                self._ended.append(Hypothesis(tokens, total))
            else:
                grown.append(Hypothesis((*tokens, token), total))
                parents.append(row)
                if len(grown) == self.width:
                    break
        self._beams = grown
        if (
            not grown
            or len(self._ended) >= self._wanted
            or len(grown[0].tokens) >= self._limit
            or repeats_itself(grown[0].tokens)
        ):
            return None
        # Where the rules leave few tokens, the places are filled with what cannot win.
        while len(self._beams) < self.width:
            self._beams.append(Hypothesis(grown[-1].tokens, -np.inf))
            parents.append(parents[-1])
        return Next([beam.tokens[-1] for beam in self._beams], parents)

    def best(self) -> Hypothesis:
        found = self._ended[: self._wanted] if len(self._ended) >= self._wanted else self._ended + self._beams
        return max(found, key=lambda own: _score(own, self._penalty))


def repeats_itself(tokens: tuple[int, ...] | list[int]) -> bool:
    """Whether the end of the text is one group of tokens again and again, so that going on is of no use.

    Looked at once in eight tokens. A text that ends so compresses far beyond any threshold: whoever reads it
    sees a loop, whether it has 60 or 220 tokens.
    """
    length = len(tokens)
    if length < 48 or length % 8:
        return False
    tail = list(tokens[-48:])
    return any(tail[period:] == tail[:-period] for period in range(1, 9))


def _score(hypothesis: Hypothesis, penalty: float) -> float:
    return hypothesis.log_probability / float(max(1, len(hypothesis.tokens)) ** penalty)


def _draw(weighed: Weighed, temperature: float, random: np.random.Generator) -> int:
    logits = weighed.logits
    summed = np.cumsum(np.exp((logits - logits.max()) / np.float32(temperature)), dtype=np.float64)
    drawn = int(np.searchsorted(summed, random.random() * summed[-1], side="right"))
    return min(drawn, len(logits) - 1)


def _highest(logits: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """Places of the highest values, at most ``count``, none of which is minus infinity.

    Seen as a table, the highest of all lie in the columns whose own highest are highest: looking for those
    first is several times faster than sorting, however roughly, fifty thousand values.
    """
    columns = len(logits) // _ROWS
    whole = columns * _ROWS
    tops = logits[:whole].reshape(_ROWS, columns).max(axis=0)
    best = np.argpartition(tops, -count)[-count:] if columns > count else np.arange(columns)
    places = (np.arange(_ROWS)[:, np.newaxis] * columns + best).ravel()
    places = np.concatenate((places, np.arange(whole, len(logits))))
    values = logits[places]
    order = np.argpartition(values, -count)[-count:] if len(values) > count else np.arange(len(values))
    found: NDArray[np.int64] = places[order[values[order] > -np.inf]]
    return found
