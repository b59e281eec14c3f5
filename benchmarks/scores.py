"""Words that were got wrong, beside every time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scriba.bench.scoring import normalise_text, score


@dataclass(frozen=True, slots=True)
class Score:
    """Word errors over several recordings: shares of the words said, and counts."""

    wer: float
    deletions: int
    insertions: int
    runaways: int

    def quantities(self) -> dict[str, float]:
        return {
            "wer": self.wer,
            "deletions": self.deletions,
            "insertions": self.insertions,
            "runaways": self.runaways,
        }


def is_runaway(said: str, heard: str) -> bool:
    """Whether a decoder did not stop: more than twice the words that were said, and five."""
    return len(normalise_text(heard, "en").split()) > 2 * len(normalise_text(said, "en").split()) + 5


def score_english(pairs: Sequence[tuple[str | None, str]]) -> Score | None:
    """Score (said, heard) pairs, the field's English normaliser on both; None where no text is known."""
    known = [(said, heard) for said, heard in pairs if said is not None]
    if not known:
        return None
    report = score(known, "en")
    if report.wer is None:
        return None
    runaways = sum(is_runaway(said, heard) for said, heard in known)
    return Score(report.wer, report.words.deletions, report.words.insertions, runaways)
