"""Text in the middle of silence that looks made up: ``hallucination_silence_threshold``.

Whisper fills long silence with words that are improbable, of odd length, or both. The signs are those of
openai/whisper: a word counts by a probability below 0.15, by less than 133 ms, by more than 2 s.
"""

from __future__ import annotations

from collections.abc import Sequence

from scriba.domain.transcript import Suppressed, SuppressionReason, Word
from scriba.transcribe.drafts import Draft

_IMPROBABLE = 0.15
_SHORT, _LONG = 0.133, 2.0
_PER_SHORT_SECOND = 15.0
_ODD = 3.0
_FIRST_WORDS = 8


def withhold_in_silence(
    drafts: Sequence[Draft | Suppressed], threshold: float, before: float, after: float
) -> list[Draft | Suppressed]:
    """Odd drafts with more than ``threshold`` seconds without words on both sides, as withheld.

    Args:
        before: where the last kept segment ends, in seconds of the recording.
        after: where the window ends.
    """
    kept: list[Draft | Suppressed] = []
    for index, draft in enumerate(drafts):
        if isinstance(draft, Suppressed):
            kept.append(draft)
            continue
        following = next(
            (own.start for own in drafts[index + 1 :] if isinstance(own, Draft)), after + threshold
        )
        alone = draft.start - before > threshold and following - draft.end >= threshold
        if alone and is_odd(draft.words or ()):
            kept.append(Suppressed(draft.start, draft.end, draft.text, SuppressionReason.SILENCE))
            continue
        kept.append(draft)
        before = draft.end
    return kept


def is_odd(words: Sequence[Word]) -> bool:
    """Whether the first words of a text look made up."""
    spoken = [word for word in words if any(character.isalnum() for character in word.text)][:_FIRST_WORDS]
    if not spoken:
        return False
    score = sum(_oddness(word) for word in spoken)
    return score >= _ODD or score + 0.01 >= len(spoken)


def _oddness(word: Word) -> float:
    seconds = word.end - word.start
    score = 1.0 if word.probability < _IMPROBABLE else 0.0
    if seconds < _SHORT:
        score += (_SHORT - seconds) * _PER_SHORT_SECOND
    return score + max(0.0, seconds - _LONG)
