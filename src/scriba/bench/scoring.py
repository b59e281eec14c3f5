"""Errors between what was said and what was heard, as the field counts them.

Text is normalised as in the Whisper paper (arXiv 2212.04356, appendix C): its English normaliser for English,
its basic one for every other language. The basic one also drops combining marks, so that rates of Indic and
Semitic scripts come out lower than a reader would judge.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from functools import cache
from importlib.util import find_spec

from scriba.bench.report import Counts, FileScore, Unit, WerReport
from scriba.domain.errors import UnsupportedOptionError
from scriba.domain.transcript import SPACELESS_LANGUAGES


def require_scorer() -> None:
    """Say at once, before hours of work, that the scorer is missing.

    Raises:
        UnsupportedOptionError: the optional packages are not installed.
    """
    missing = [name for name in ("jiwer", "whisper_normalizer") if find_spec(name) is None]
    if missing:
        raise UnsupportedOptionError(
            f"Scoring needs {' and '.join(missing)}, which this installation does not have. "
            "In a clone, make wer ARGS=FOLDER brings them; elsewhere install them with pip."
        )


def unit_of(language: str | None) -> Unit:
    """Characters where words are not parted by spaces, else words."""
    return Unit.CHARACTER if language in SPACELESS_LANGUAGES else Unit.WORD


def normalise_text(text: str, language: str | None) -> str:
    """The text as it is compared: no case, no punctuation, and no spaces where characters are counted."""
    text = _normaliser(language == "en")(text)
    return "".join(text.split()) if unit_of(language) is Unit.CHARACTER else " ".join(text.split())


def count_errors(reference: str, hypothesis: str, unit: Unit) -> Counts:
    """The least edits between two normalised texts."""
    require_scorer()
    import jiwer  # an optional package

    if not reference:
        heard = hypothesis.split() if unit is Unit.WORD else hypothesis
        return Counts(insertions=len(heard))
    process = jiwer.process_words if unit is Unit.WORD else jiwer.process_characters
    found = process(reference, hypothesis)
    return Counts(found.hits, found.substitutions, found.deletions, found.insertions)


def score_file(
    name: str,
    reference: str,
    hypothesis: str,
    language: str | None,
    *,
    seconds: float = 0.0,
    processing: float = 0.0,
    error: str | None = None,
) -> FileScore:
    """One recording's score. ``reference`` and ``hypothesis`` as written and as heard."""
    said, heard = normalise_text(reference, language), normalise_text(hypothesis, language)
    unit = unit_of(language)
    counts = count_errors(said, heard, unit)
    return FileScore(name, language, unit, counts, said, heard, seconds, processing, error)


def score(pairs: Iterable[tuple[str, str]], language: str | None) -> WerReport:
    """Score (reference, hypothesis) pairs of one language. Nothing is run: times and memory are absent.

    Raises:
        UnsupportedOptionError: the packages that score are not installed.
    """
    require_scorer()
    return WerReport(
        tuple(
            score_file(str(number), reference, hypothesis, language)
            for number, (reference, hypothesis) in enumerate(pairs, 1)
        )
    )


@cache
def _normaliser(english: bool) -> Callable[[str], str]:
    require_scorer()
    with warnings.catch_warnings():
        # The package's source has an invalid escape sequence, of which Python warns when it compiles it.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", SyntaxWarning)
        if english:
            from whisper_normalizer.english import EnglishTextNormalizer

            made: Callable[[str], str] = EnglishTextNormalizer()
        else:
            from whisper_normalizer.basic import BasicTextNormalizer

            made = BasicTextNormalizer()
    return made
