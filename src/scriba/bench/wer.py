"""Transcribe recordings whose text is known, and count what went wrong (``scriba bench wer``)."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from scriba.bench.references import Reference, load_references
from scriba.bench.report import FileScore, WerReport
from scriba.bench.scoring import require_scorer, score_file
from scriba.domain.cancel import CancelToken
from scriba.domain.errors import CancelledByUserError, InvalidOptionError, ScribaError
from scriba.domain.events import Finished
from scriba.domain.options import LanguagePolicy, TranscribeOptions
from scriba.domain.transcript import Transcript
from scriba.transcribe.port import Transcriber

BenchProgress = Callable[[int, int, FileScore], None]
"""Called after each recording with how many are done, of how many, and its score."""


def run_wer_command(
    source: Path,
    transcriber: Transcriber,
    *,
    options: TranscribeOptions | None = None,
    limit: int | None = None,
    detect_language: bool = False,
    progress: BenchProgress | None = None,
    cancel: CancelToken | None = None,
) -> WerReport:
    """Everything ``scriba bench wer DIR|MANIFEST`` does but the printing.

    Print ``report.table()`` or ``report.json()``.

    Args:
        source: what ``load_references`` reads.
        options: model, language and decoding. A language in it holds for every recording.
        limit: only the first so many recordings.
        detect_language: do not tell the model the language that the reference names.

    Raises:
        InvalidOptionError: the source or the limit is at fault.
        UnsupportedOptionError: the packages that score are not installed.
        ScribaError: the model cannot be had, or the work was cancelled.
    """
    require_scorer()
    if limit is not None and limit < 1:
        raise InvalidOptionError(f"limit must be at least 1, not {limit}.", field="limit")
    corpus = load_references(source)
    report = run_wer(
        transcriber,
        corpus.references[:limit],
        options or TranscribeOptions(),
        progress,
        detect_language=detect_language,
        cancel=cancel,
    )
    return replace(report, without_reference=corpus.without_text)


def run_wer(
    transcriber: Transcriber,
    references: Sequence[Reference],
    options: TranscribeOptions,
    progress: BenchProgress | None = None,
    *,
    detect_language: bool = False,
    cancel: CancelToken | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> WerReport:
    """Transcribe each recording in turn and score it.

    A recording that cannot be transcribed counts as nothing heard. An error that would meet every recording
    (no such model, an option that this server cannot honour) is raised at once.
    """
    require_scorer()
    scores: list[FileScore] = []
    model: str | None = None
    for reference in references:
        chosen = options if detect_language else _told(options, reference)
        started = clock()
        transcript: Transcript | None = None
        error: str | None = None
        try:
            transcript = _transcribed(transcriber, reference.path, chosen, cancel)
        except CancelledByUserError:
            raise
        except ScribaError as failure:
            if failure.code in _FATAL:
                raise
            error = failure.message
        processing = clock() - started
        if transcript is not None:
            model = transcript.model
        scores.append(_score(reference, options, transcript, processing, error))
        if progress is not None:
            progress(len(scores), len(references), scores[-1])
    return WerReport(tuple(scores), model=model, peak_memory=peak_memory())


_FATAL = frozenset({"model_not_found", "model_unavailable", "unsupported_parameter"})


def _told(options: TranscribeOptions, reference: Reference) -> TranscribeOptions:
    """The options with the language that the reference names, unless they name or limit one."""
    policy = options.language
    if reference.language is None or policy.language is not None or policy.allowed:
        return options
    told = LanguagePolicy(language=reference.language, threshold=policy.threshold, windows=policy.windows)
    return replace(options, language=told)


def _transcribed(
    transcriber: Transcriber, path: Path, options: TranscribeOptions, cancel: CancelToken | None
) -> Transcript:
    events = transcriber.run(path, options, cancel)
    try:
        for event in events:
            if isinstance(event, Finished):
                return event.transcript
    finally:
        if hasattr(events, "close"):
            events.close()
    raise ScribaError("The transcription ended without a result.")


def _score(
    reference: Reference,
    options: TranscribeOptions,
    transcript: Transcript | None,
    processing: float,
    error: str | None,
) -> FileScore:
    heard = transcript.language if transcript is not None else None
    return score_file(
        reference.name,
        reference.text,
        transcript.text if transcript is not None else "",
        reference.language or options.language.language or heard,
        seconds=transcript.duration if transcript is not None else reference.duration or 0.0,
        processing=processing,
        error=error,
    )


def peak_memory() -> int:
    """The most resident memory this process has had, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # kibibytes everywhere but on macOS
