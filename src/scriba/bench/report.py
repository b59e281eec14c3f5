"""The outcome of a benchmark, as numbers, as a table and as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from statistics import median
from typing import Any


class Unit(StrEnum):
    """What is counted: words, or characters in scripts that do not part words."""

    WORD = "word"
    CHARACTER = "character"


@dataclass(frozen=True, slots=True)
class Counts:
    """The edits that turn a reference into what was heard (Levenshtein, each costing one)."""

    hits: int = 0
    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0

    @property
    def length(self) -> int:
        """Units in the reference."""
        return self.hits + self.substitutions + self.deletions

    @property
    def errors(self) -> int:
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float | None:
        """Errors per unit of the reference; may exceed 1. None when the reference is empty."""
        return self.errors / self.length if self.length else None

    @classmethod
    def pooled(cls, counts: Iterable[Counts]) -> Counts:
        """All together, so that a long recording weighs as much as its words."""
        every = list(counts)
        return cls(
            hits=sum(one.hits for one in every),
            substitutions=sum(one.substitutions for one in every),
            deletions=sum(one.deletions for one in every),
            insertions=sum(one.insertions for one in every),
        )


@dataclass(frozen=True, slots=True)
class FileScore:
    """One recording. ``reference`` and ``hypothesis`` are normalised, as they were compared.

    ``seconds`` is the length of the recording and ``processing`` what its transcription took; both 0 where
    nothing was run. ``error`` says why it could not be transcribed: it then counts as nothing heard.
    """

    name: str
    language: str | None
    unit: Unit
    counts: Counts
    reference: str
    hypothesis: str
    seconds: float = 0.0
    processing: float = 0.0
    error: str | None = None

    @property
    def real_time_factor(self) -> float | None:
        """Processing seconds per second of audio: below 1 is faster than real time."""
        return self.processing / self.seconds if self.seconds > 0 and self.error is None else None


@dataclass(frozen=True, slots=True)
class WerReport:
    """A benchmark over recordings. Rates are pooled over all of them (sum of errors by sum of length)."""

    files: tuple[FileScore, ...]
    model: str | None = None
    peak_memory: int | None = None
    """Most resident memory of the process so far, in bytes."""
    without_reference: int = 0
    """Recordings that were left out because nobody wrote down what is said in them."""

    @property
    def words(self) -> Counts:
        return Counts.pooled(one.counts for one in self.files if one.unit is Unit.WORD)

    @property
    def characters(self) -> Counts:
        return Counts.pooled(one.counts for one in self.files if one.unit is Unit.CHARACTER)

    @property
    def wer(self) -> float | None:
        """Word error rate; None when no words were to be heard."""
        return self.words.rate

    @property
    def cer(self) -> float | None:
        """Character error rate over the languages without spaces; None when there are none."""
        return self.characters.rate

    @property
    def failed(self) -> int:
        return sum(one.error is not None for one in self.files)

    @property
    def audio_seconds(self) -> float:
        return math.fsum(one.seconds for one in self.files)

    @property
    def processing_seconds(self) -> float:
        return math.fsum(one.processing for one in self.files)

    @property
    def real_time_factor(self) -> float | None:
        """Median over the recordings, so that the first one, which loads the model, does not count."""
        factors = [factor for one in self.files if (factor := one.real_time_factor) is not None]
        return median(factors) if factors else None

    def summary(self) -> dict[str, Any]:
        """The totals by name. Times in seconds, memory in bytes."""
        return {
            "model": self.model,
            "files": len(self.files),
            "failed": self.failed,
            "without_reference": self.without_reference,
            "wer": self.wer,
            "words": _detail(self.words),
            "cer": self.cer,
            "characters": _detail(self.characters),
            "audio_seconds": round(self.audio_seconds, 3),
            "processing_seconds": round(self.processing_seconds, 3),
            "real_time_factor": self.real_time_factor,
            "peak_memory_bytes": self.peak_memory,
        }

    def json(self) -> str:
        """The totals, and every file with its texts."""
        files = [
            asdict(one) | {"rate": one.counts.rate, "real_time_factor": one.real_time_factor}
            for one in self.files
        ]
        return json.dumps(self.summary() | {"per_file": files}, ensure_ascii=False, indent=2)

    def table(self) -> str:
        """A line a file, worst last, and the totals under them."""
        rows: list[tuple[str, ...]] = [
            ("file", "lang", "rate", "ins", "del", "sub", "of", "unit", "audio s", "RTF")
        ]
        rows += [_row(one) for one in sorted(self.files, key=lambda one: (one.counts.rate or 0.0, one.name))]
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = ["  ".join(_cells(row, widths)).rstrip() for row in rows]
        lines.insert(1, "-" * max(map(len, lines)))
        lines += [f"  {one.name}: {one.error}" for one in self.files if one.error]
        return "\n".join([*lines, "", *self._totals()]) + "\n"

    def _totals(self) -> list[str]:
        totals = [f"model             {self.model}"] if self.model else []
        for name, counts in (("WER", self.words), ("CER", self.characters)):
            if counts.length or counts.errors:
                totals.append(
                    f"{name}               {_percent(counts.rate)}  ({counts.insertions} insertions, "
                    f"{counts.deletions} deletions, {counts.substitutions} substitutions of {counts.length})"
                )
        files = f"files             {len(self.files)}"
        if self.failed:
            files += f", {self.failed} failed and counted as nothing heard"
        if self.without_reference:
            files += f"; {self.without_reference} without a reference left out"
        totals.append(files)
        if self.real_time_factor is not None:
            totals.append(
                f"real-time factor  {self.real_time_factor:.3f} (median; {self.processing_seconds:.1f} s "
                f"for {self.audio_seconds:.1f} s of audio in all)"
            )
        if self.peak_memory is not None:
            totals.append(f"peak memory       {self.peak_memory / 2**20:.0f} MiB")
        return totals


def _detail(counts: Counts) -> dict[str, int]:
    return asdict(counts) | {"length": counts.length}


def _percent(rate: float | None) -> str:
    return "-" if rate is None else f"{100 * rate:.2f} %"


def _row(one: FileScore) -> tuple[str, ...]:
    counts, factor = one.counts, one.real_time_factor
    return (
        one.name,
        one.language or "-",
        _percent(counts.rate),
        str(counts.insertions),
        str(counts.deletions),
        str(counts.substitutions),
        str(counts.length),
        one.unit.value,
        f"{one.seconds:.1f}",
        "-" if factor is None else f"{factor:.3f}",
    )


def _cells(row: tuple[str, ...], widths: list[int]) -> list[str]:
    texts = (0, 1, 7)
    return [
        cell.ljust(width) if column in texts else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
