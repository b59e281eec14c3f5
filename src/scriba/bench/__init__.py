"""Measuring: how many words are wrong, and how fast and in how much memory they came."""

from scriba.bench.references import Corpus, Reference, load_references
from scriba.bench.report import Counts, FileScore, WerReport
from scriba.bench.scoring import score
from scriba.bench.wer import run_wer, run_wer_command

__all__ = [
    "Corpus",
    "Counts",
    "FileScore",
    "Reference",
    "WerReport",
    "load_references",
    "run_wer",
    "run_wer_command",
    "score",
]
