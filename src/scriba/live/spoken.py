"""Which language is spoken in a stream, as far as it is not told."""

from __future__ import annotations

from typing import Any

from scriba.domain.options import LanguagePolicy
from scriba.engine.port import LanguageGuess
from scriba.transcribe.languages import Decision, LanguageTracker

_DETECT_FROM = 1.0
"""Seconds of speech from which its language is believed."""


class SpokenLanguage:
    """``decided`` is None while it is not known."""

    def __init__(self, policy: LanguagePolicy, languages: frozenset[str]) -> None:
        self._policy = policy
        self._tracker = LanguageTracker(policy, languages)
        self.decided: str | None = None
        self._guesses: list[LanguageGuess] = []
        self._guessed_for = -1

    @property
    def told(self) -> str | None:
        """What to hear in; None: ``choose``."""
        return self.decided or self._policy.language

    @property
    def open(self) -> bool:
        """It is to be found out, and is not known yet."""
        return self._tracker.detects and self.decided is None

    @property
    def detects(self) -> bool:
        return self._tracker.detects

    def choose(self, guess: LanguageGuess | None) -> str:
        """The language to hear a window in while none is decided on."""
        if guess is None or not self._tracker.detects:
            return self._tracker.decide([]).language
        allowed = self._policy.allowed
        likely = [code for code, _ in guess.probabilities if not allowed or code in allowed]
        return likely[0] if likely else guess.probabilities[0][0]

    def heed(self, guess: LanguageGuess, utterance: int, spoken: float, *, whole: bool) -> None:
        """Take in a guess.

        Args:
            utterance: the sample at which it began.
            spoken: seconds of it that were heard.
            whole: it has ended.
        """
        if self.decided is None:
            believed = whole or (spoken >= _DETECT_FROM and not self._tracker.needs_more([guess]))
            if believed:
                self.decided = self._tracker.decide([guess]).language
        if whole:
            # It changes when two utterances in a row are sure of another.
            if self._guessed_for == utterance:
                self._guesses.pop()
            self._guessed_for = utterance
            self._guesses = [*self._guesses, guess][-2:]
            self.decided = self._tracker.decide(self._guesses).language

    def state(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "decided": self.decided,
            "guesses": [list(own.probabilities[:8]) for own in self._guesses],
            "guessed_for": self._guessed_for,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.decided = state["decided"]
        self._guesses = [
            LanguageGuess(tuple((code, probability) for code, probability in own)) for own in state["guesses"]
        ]
        self._guessed_for = state["guessed_for"]
        if self.decided is not None:
            self._tracker.remember(Decision(self.decided, 1.0))
