"""What doors and the command line know of transcription: options in, events out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from scriba.domain.cancel import CancelToken
from scriba.domain.events import Event
from scriba.domain.options import TranscribeOptions
from scriba.domain.resume import ResumePoint
from scriba.engine.scheduler import Priority

Source = Path | BinaryIO
"""A file of our own naming, or a seekable binary stream (a spooled upload). Never a path a client sent."""


class PriorityTranscriber(Protocol):
    """As ``Transcriber``, with a say in who goes first, and able to go on behind what is finished."""

    def run(
        self,
        source: Source,
        options: TranscribeOptions,
        cancel: CancelToken | None = None,
        priority: Priority = Priority.INTERACTIVE,
        resume: ResumePoint | None = None,
    ) -> Iterator[Event]: ...


class Transcriber(Protocol):
    """Turns recordings into transcripts (adapter: ``scriba.transcribe.recording.RecordingTranscriber``)."""

    def run(
        self, source: Source, options: TranscribeOptions, cancel: CancelToken | None = None
    ) -> Iterator[Event]:
        """Decode, listen and yield events as they become known; the last is ``Finished``.

        Blocking: iterate on a worker thread. Closing the iterator or setting ``cancel`` stops the work.

        Raises:
            ScribaError: the medium, the options or the model are at fault; the message is for the user.
        """
        ...
