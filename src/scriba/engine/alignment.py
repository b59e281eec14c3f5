"""Word times from cross-attention, by a dynamic time warping path (openai/whisper ``timing.py``)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scriba.engine.port import AlignedWord
from scriba.engine.tokenizer import TIME_PRECISION, WordTokens

_MAX_WORD_SECONDS = 2.0
"""Longer words are pauses that the path gave to a word."""


def word_times(
    phrases: Sequence[Sequence[WordTokens]],
    path: Sequence[tuple[int, int]],
    token_probabilities: Sequence[float],
    seconds: float,
) -> list[list[AlignedWord]]:
    """Give each word the time of its first and after its last token.

    Args:
        phrases: words of each phrase, in the order in which their tokens were aligned.
        path: pairs of (token index, time index of 20 ms), monotonic in both.
        token_probabilities: one for each text token.
        seconds: sound in the window; no word ends later.
    """
    tokens = np.array([pair[0] for pair in path])
    times = np.array([pair[1] for pair in path])
    # The first time index at which each token appears; the end token closes the last word.
    first = np.flatnonzero(np.diff(tokens, prepend=-1))
    jumps = np.minimum(times[first] * TIME_PRECISION, seconds)

    def at(index: int) -> float:
        return float(jumps[index]) if index < len(jumps) else seconds

    result: list[list[AlignedWord]] = []
    position = 0
    for words in phrases:
        aligned: list[AlignedWord] = []
        for word in words:
            following = position + len(word.tokens)
            probabilities = token_probabilities[position:following]
            aligned.append(
                AlignedWord(
                    start=at(position),
                    end=at(following),
                    text=word.text,
                    probability=float(np.mean(probabilities)) if len(probabilities) else 0.0,
                    tokens=word.tokens,
                )
            )
            position = following
        result.append(aligned)
    return _shorten(result)


def _shorten(phrases: list[list[AlignedWord]]) -> list[list[AlignedWord]]:
    """Cut words that swallowed a pause.

    The path has no notion of silence: a pause goes to the word before or after it. A word much longer than
    the median of its neighbours at the edge of a sentence is cut back from the side of the pause.
    """
    durations = [word.end - word.start for words in phrases for word in words if word.end > word.start]
    median = min(0.7, float(np.median(durations))) if durations else 0.0
    longest = max(2 * median, 0.2)
    result: list[list[AlignedWord]] = []
    for words in phrases:
        fixed: list[AlignedWord] = []
        for index, word in enumerate(words):
            start, end = word.start, word.end
            if end - start > longest:
                after_sentence = index == 0 or words[index - 1].text.rstrip()[-1:] in ".。!！?？…"
                before_pause = index == len(words) - 1 or word.text.rstrip()[-1:] in ".。!！?？…"
                if after_sentence:
                    start = end - longest
                elif before_pause or end - start > _MAX_WORD_SECONDS:
                    end = start + longest
            fixed.append(AlignedWord(start, end, word.text, word.probability, word.tokens))
        result.append(fixed)
    return result
