"""Text that nobody said: recognised by evidence, withheld and listed, never silently dropped.

Whisper invents text where there is no speech, and repeats itself where it loses the thread. Each rule here
needs evidence beside the text: the model's own doubt, or voice activity that hardly hears speech.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from scriba.domain.transcript import Suppressed, SuppressionReason, Word
from scriba.transcribe.drafts import Draft
from scriba.transcribe.stock_phrases import COMMON_PHRASES, CREDITS
from scriba.transcribe.text import normalise

_WEAK_SPEECH = 0.6
"""Mean voice activity below which text needs the model's confidence to be believed."""
_NO_TIME = 0.03
"""Seconds below which nothing can be said."""
_FOREIGN_LOGPROB = -0.78
"""With tiny.en, windows of 11 other languages scored below -0.8; of the English ones at hand, telephone and
far-field meetings among them, two scored below -0.7."""
_LOOP_REPEATS = 4
"""Times a group of words must stand in a row before it is taken for a loop."""
_SHORT_LOOP_REPEATS = 8
"""The same for a single word, which people do say again and again."""
_LONGEST_LOOP = 24
"""Words in the longest repeated group looked for."""


@dataclass(slots=True)
class Guards:
    """Judges drafts in the order of the recording; remembers the last texts to see a loop across windows."""

    log_prob_threshold: float = -1.0
    compression_ratio_threshold: float = 2.4
    english_unsaid: bool = False
    """The model speaks only English, and the caller named neither the language nor the model."""
    _recent: list[str] = field(default_factory=list, init=False)

    @property
    def recent(self) -> tuple[str, ...]:
        """The last texts that were kept."""
        return tuple(self._recent)

    def remember(self, recent: Sequence[str]) -> None:
        """Go on as if these had been the last texts."""
        self._recent = list(recent)

    def judge(self, drafts: Sequence[Draft]) -> list[Draft | Suppressed]:
        """Each draft as it is, cut, or replaced by the note that it was withheld; in order."""
        verdicts: list[Draft | Suppressed] = []
        for draft in drafts:
            reason = self._reason(draft)
            if reason is not None:
                verdicts.append(Suppressed(draft.start, draft.end, draft.text, reason))
                continue
            kept, loop = cut_loop(draft)
            if kept is not None and self._repeats(kept):
                verdicts.append(Suppressed(kept.start, kept.end, kept.text, SuppressionReason.REPETITION))
                kept = None
            if kept is not None:
                verdicts.append(kept)
            if loop is not None:
                verdicts.append(loop)
        return verdicts

    def _reason(self, draft: Draft) -> SuppressionReason | None:
        decoded = draft.decoded
        if draft.silent:
            return SuppressionReason.NO_SPEECH
        if not any(character.isalnum() for character in draft.text):
            return SuppressionReason.NO_SPEECH
        if draft.end - draft.start < _NO_TIME:
            return SuppressionReason.NO_SPEECH  # written over the padding behind the end of the sound
        if self.english_unsaid and decoded.avg_logprob < _FOREIGN_LOGPROB:
            return SuppressionReason.NOT_ENGLISH
        weak = draft.speech_probability < _WEAK_SPEECH
        if decoded.avg_logprob < self.log_prob_threshold and (weak or decoded.no_speech_prob > 0.3):
            return SuppressionReason.LOW_CONFIDENCE
        doubtful = weak or decoded.no_speech_prob > 0.4
        text = normalise(draft.text)
        if doubtful and text in COMMON_PHRASES:
            return SuppressionReason.KNOWN_PHRASE
        if (doubtful or decoded.avg_logprob < -0.7) and text in CREDITS:
            return SuppressionReason.KNOWN_PHRASE
        return None

    def _repeats(self, draft: Draft) -> bool:
        """The same sentence for the third time in a row, with a model that repeats itself or doubts."""
        text = normalise(draft.text)
        recent = self._recent
        again = len(recent) >= 2 and all(earlier == text for earlier in recent[-2:])
        recent.append(text)
        del recent[:-2]
        suspicious = (
            draft.decoded.compression_ratio > self.compression_ratio_threshold
            or draft.decoded.avg_logprob < -0.7
            or draft.speech_probability < _WEAK_SPEECH
        )
        return again and suspicious and len(text.split()) > 1


def cut_loop(draft: Draft) -> tuple[Draft | None, Suppressed | None]:
    """Keep the first round of a loop and withhold the others.

    Times of the cut come from the words where they are known, else in proportion to the text.
    """
    units = [word.text for word in draft.words] if draft.words else _units(draft.text)
    found = find_loop([normalise(unit) for unit in units])
    if found is None:
        return draft, None
    keep, resume = found
    kept_units = units[:keep] + units[resume:]
    cut_text = "".join(units[keep:resume]).strip()
    text = "".join(kept_units).strip()
    words: tuple[Word, ...] | None = None
    if draft.words:
        words = draft.words[:keep] + draft.words[resume:]
        start, end = draft.words[keep].start, draft.words[resume - 1].end
    else:
        span = draft.end - draft.start
        start = round(draft.start + span * keep / len(units), 3)
        end = round(draft.start + span * resume / len(units), 3)
    loop = Suppressed(start, end, cut_text, SuppressionReason.REPETITION)
    stop = start if resume == len(units) else draft.end
    return replace(draft, text=text, words=words, end=max(draft.start, stop)), loop


def find_loop(units: Sequence[str]) -> tuple[int, int] | None:
    """Where a repeated group of units may be cut: keep up to the first index, go on at the second."""
    total = len(units)
    for length in range(1, min(_LONGEST_LOOP, total // _LOOP_REPEATS) + 1):
        needed = _SHORT_LOOP_REPEATS if length == 1 else _LOOP_REPEATS
        run = 0
        for index in range(length, total):
            run = run + 1 if units[index] == units[index - length] and units[index] else 0
            ends = index + 1 == total or units[index + 1] != units[index + 1 - length]
            if ends and run >= length * (needed - 1):
                keep = index + 1 - run
                # Half a round in the middle may be how the true text goes on.
                return keep, (total if index + 1 == total else keep + run // length * length)
    return None


def _units(text: str) -> list[str]:
    """Words with the space before them; single characters where a script has no spaces."""
    words = re.findall(r"\s*\S+", text)
    if len(words) > 3 or len(text) < 24:
        return words
    return list(text)
