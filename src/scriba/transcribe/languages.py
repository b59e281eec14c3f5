"""Which language a recording is in, and when it changes.

One window can sound like anything (a name, a song, two words): faster-whisper took each window's word for it
and damaged German files that way (its issue 1322). Here a language is believed when one window is sure or
several agree, and it changes only when two windows in a row are sure of another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from scriba.domain.options import LanguagePolicy
from scriba.engine.port import LanguageGuess

_SWITCH_THRESHOLD = 0.7
"""Evidence needed from each of two successive windows before the language changes."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The language to decode a window in, and its probability."""

    language: str
    probability: float


@dataclass(slots=True)
class LanguageTracker:
    """Decides window by window, in order. Feed it guesses of windows to come as far as they are known."""

    policy: LanguagePolicy
    spoken: frozenset[str]
    """Languages the model knows."""
    _current: Decision | None = field(default=None, init=False)

    def remember(self, decision: Decision) -> None:
        """Go on as if this had been the last decision."""
        self._current = decision

    @property
    def detects(self) -> bool:
        """False when the caller named the language: then no guess is ever needed."""
        return self.policy.language is None and len(self._candidates()) > 1

    @property
    def lookahead(self) -> int:
        """How many following guesses could change the next decision."""
        return self.policy.windows - 1 if self._current is None else 1

    def needs_more(self, guesses: Sequence[LanguageGuess]) -> bool:
        """True while a further window's guess could change the decision on the first of ``guesses``."""
        if not self.detects or len(guesses) > self.lookahead:
            return False
        best, probability = self._best(guesses[0])
        if self._current is None:
            return probability < self.policy.threshold
        return best != self._current.language and probability >= _SWITCH_THRESHOLD

    def decide(self, guesses: Sequence[LanguageGuess]) -> Decision:
        """Decide on the window of ``guesses[0]``; the rest are the windows after it."""
        if self.policy.language is not None:
            return Decision(self.policy.language, 1.0)
        candidates = self._candidates()
        if len(candidates) == 1:
            return Decision(next(iter(candidates)), 1.0)
        best, probability = self._best(guesses[0])
        if self._current is None:
            if probability < self.policy.threshold:
                best, probability = self._pool(guesses[: self.policy.windows])
            self._current = Decision(best, probability)
        elif best == self._current.language:
            self._current = Decision(best, probability)
        elif probability >= _SWITCH_THRESHOLD and len(guesses) > 1:
            following, support = self._best(guesses[1])
            if following == best and support >= _SWITCH_THRESHOLD:
                self._current = Decision(best, probability)
        return self._current

    def _candidates(self) -> frozenset[str]:
        allowed = frozenset(self.policy.allowed) & self.spoken
        return allowed or self.spoken

    def _weights(self, guess: LanguageGuess) -> dict[str, float]:
        """Probabilities over the candidates alone, adding up to 1."""
        candidates = self._candidates()
        weights = {code: p for code, p in guess.probabilities if code in candidates}
        total = sum(weights.values())
        if total <= 0.0:
            return dict.fromkeys(sorted(candidates), 1.0 / len(candidates))
        return {code: p / total for code, p in weights.items()}

    def _best(self, guess: LanguageGuess) -> tuple[str, float]:
        weights = self._weights(guess)
        best = max(weights, key=weights.__getitem__)
        return best, weights[best]

    def _pool(self, guesses: Sequence[LanguageGuess]) -> tuple[str, float]:
        """The mean over several windows."""
        pooled: dict[str, float] = {}
        for guess in guesses:
            for code, p in self._weights(guess).items():
                pooled[code] = pooled.get(code, 0.0) + p / len(guesses)
        best = max(pooled, key=pooled.__getitem__)
        return best, pooled[best]
