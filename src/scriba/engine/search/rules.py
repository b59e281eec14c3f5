"""Which tokens Whisper may write next (openai/whisper ``decoding.py``, its logit filters)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Logits = NDArray[np.float32]
"""Shape ``(vocabulary,)``."""

_NEVER = np.float32(-np.inf)


@dataclass(frozen=True, slots=True)
class SpecialTokens:
    """Where a vocabulary's kinds of tokens lie: text before ``end``, times from ``first_timestamp`` on."""

    end: int
    first_timestamp: int
    blank: tuple[int, ...]
    """Tokens that may not come first: the space, and the end of the text."""
    not_speech: tuple[int, ...]
    """Tokens that stand for no speech, such as brackets and notes; what ``suppress_tokens`` -1 means."""


@dataclass(frozen=True, slots=True)
class Weighed:
    """Logits after the rules, and the logarithm of the sum of their exponentials."""

    logits: Logits
    log_sum: float


class TokenRules:
    """The rules of one request. Holds nothing of a window: the history is passed in."""

    def __init__(
        self,
        special: SpecialTokens,
        *,
        suppress: Sequence[int] = (-1,),
        suppress_blank: bool = True,
        timestamps: bool = True,
        max_initial_timestamp: int | None = 50,
        repetition_penalty: float = 1.0,
        no_repeat_ngram_size: int = 0,
        spoken_until: int = 0,
        opening: Sequence[int] = (),
    ) -> None:
        """
        Args:
            suppress: token ids never written; -1 stands for ``special.not_speech``.
            max_initial_timestamp: the highest first timestamp, in steps of 20 ms.
            spoken_until: in steps of 20 ms; behind an earlier timestamp the text goes on, once it has begun.
            opening: tokens of the transcript that are part of the prompt.
        """
        named = {token for token in suppress if token >= 0}
        if -1 in suppress:
            named.update(special.not_speech)
        named.discard(special.end)
        self._suppressed = np.array(sorted(named), dtype=np.int64)
        self._blank = np.array(special.blank if suppress_blank else (), dtype=np.int64)
        self._end = special.end
        self._first = special.first_timestamp
        self._timestamps = timestamps
        self._latest_start = max_initial_timestamp
        self._penalty = repetition_penalty
        self._ngram = no_repeat_ngram_size
        self._spoken_until = special.first_timestamp + spoken_until
        self._opening = list(opening)
        self._scratch = np.empty(0, dtype=np.float32)
        self._ones = np.empty(0, dtype=np.float32)

    def weigh(self, logits: Logits, history: Sequence[int]) -> Weighed:
        """Apply the rules in place.

        Args:
            logits: what the model says of the next token. Changed.
            history: the tokens written so far, without the prompt.
        """
        if self._opening:
            history = [*self._opening, *history]
        if len(self._suppressed):
            if self._suppressed[-1] >= len(logits):  # tokens of a larger vocabulary than this model's
                self._suppressed = self._suppressed[self._suppressed < len(logits)]
            logits[self._suppressed] = _NEVER
        # The start of a transcript, languages, tasks: never part of an answer.
        logits[self._end + 1 : self._first] = _NEVER
        if self._penalty != 1.0 and history:
            seen = np.unique(np.asarray(history))
            logits[seen] = np.where(
                logits[seen] > 0, logits[seen] / self._penalty, logits[seen] * self._penalty
            )
        if self._ngram > 0:
            for token in _completions(history, self._ngram):
                logits[token] = _NEVER
        if not history:
            logits[self._blank] = _NEVER
        if not self._timestamps:
            logits[self._first :] = _NEVER
            return Weighed(logits, self._log_sum(logits[: self._end + 1]))
        return self._weigh_timestamps(logits, history)

    def _weigh_timestamps(self, logits: Logits, history: Sequence[int]) -> Weighed:
        first = self._first
        if not history:
            logits[:first] = _NEVER
            if self._latest_start is not None:
                logits[first + self._latest_start + 1 :] = _NEVER
        elif history[-1] >= first:
            if len(history) < 2 or history[-2] >= first:
                # A phrase begins: text now.
                logits[first:] = _NEVER
                self._go_on(logits, history)
                return Weighed(logits, self._log_sum(logits[: self._end + 1]))
            # A phrase has ended: another begins, not earlier, or the text ends.
            logits[: self._end] = _NEVER
            logits[first : history[-1]] = _NEVER
            self._go_on(logits, history)
        else:
            latest = next((token for token in reversed(history) if token >= first), None)
            if latest is not None:
                logits[first : latest + 1] = _NEVER
        text, stamps = logits[: self._end + 1], logits[first:]
        of_stamps = self._log_sum(stamps)
        # All timestamps together more likely than any one token of text: a timestamp.
        if of_stamps > float(text.max()):
            text[:] = _NEVER
            return Weighed(logits, of_stamps)
        return Weighed(logits, float(np.logaddexp(self._log_sum(text), of_stamps)))

    def _go_on(self, logits: Logits, history: Sequence[int]) -> None:
        """Whisper learnt to leave a sentence that its window cuts off to the next one, and ends before the
        sound does. A window that ends in a pause holds all of its last sentence."""
        if len(history) > 1 and history[-1] < self._spoken_until:
            logits[self._end] = _NEVER

    def _log_sum(self, logits: Logits) -> float:
        highest = logits.max()
        if highest == -np.inf:
            return -np.inf
        if len(self._scratch) < len(logits):
            self._scratch = np.empty(len(logits), dtype=np.float32)
            self._ones = np.ones(len(logits), dtype=np.float32)
        room = self._scratch[: len(logits)]
        np.subtract(logits, highest, out=room)
        np.exp(room, out=room)
        # A product with ones is the quickest sum there is.
        return float(highest) + math.log(float(room @ self._ones[: len(logits)]))


def _completions(history: Sequence[int], size: int) -> list[int]:
    """Tokens that would repeat a group of ``size``."""
    if len(history) < size:
        return []
    tail = tuple(history[len(history) - size + 1 :])
    return [
        history[start + size - 1]
        for start in range(len(history) - size + 1)
        if tuple(history[start : start + size - 1]) == tail
    ]
