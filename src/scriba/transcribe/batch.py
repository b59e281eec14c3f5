"""Transcription for nobody in particular: behind everybody who waits, and able to go on after a crash."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from scriba.domain.cancel import CancelToken
from scriba.domain.events import Event
from scriba.domain.options import TranscribeOptions
from scriba.domain.resume import ResumePoint
from scriba.engine.scheduler import Priority
from scriba.transcribe.port import PriorityTranscriber, Source


class ResumableTranscriber(Protocol):
    """As ``scriba.transcribe.port.Transcriber``, beginning behind the windows that are finished.

    After the events of each window comes a ``WindowFinished``, behind which a later run may go on.
    """

    def run(
        self, source: Source, options: TranscribeOptions, cancel: CancelToken, resume: ResumePoint
    ) -> Iterator[Event]: ...


class BatchTranscriber:
    """Implements ``ResumableTranscriber`` at the lowest priority."""

    def __init__(self, transcriber: PriorityTranscriber) -> None:
        self._transcriber = transcriber

    def run(
        self, source: Source, options: TranscribeOptions, cancel: CancelToken, resume: ResumePoint
    ) -> Iterator[Event]:
        return self._transcriber.run(source, options, cancel, Priority.BATCH, resume)
