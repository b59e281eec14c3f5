"""Transcription that parts voice from music first, where that is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from scriba.domain.cancel import CancelToken
from scriba.domain.events import Event, Progress
from scriba.domain.options import TranscribeOptions
from scriba.domain.resume import ResumePoint
from scriba.engine.scheduler import Priority
from scriba.separation.process import SeparationProcess
from scriba.transcribe.beside import SoundBeside
from scriba.transcribe.port import Source
from scriba.transcribe.recording import RecordingTranscriber
from scriba.transcribe.speakers import SpeakerTranscriber

SHARE = 0.3
"""How much of the whole work separation is taken to be, for progress."""


class SeparatingTranscriber:
    """Implements ``scriba.transcribe.port.Transcriber`` around one that knows no separation."""

    def __init__(
        self, transcriber: RecordingTranscriber | SpeakerTranscriber, separation: SeparationProcess
    ) -> None:
        self._transcriber = transcriber
        self._separation = separation

    def run(
        self,
        source: Source,
        options: TranscribeOptions,
        cancel: CancelToken | None = None,
        priority: Priority = Priority.INTERACTIVE,
        resume: ResumePoint | None = None,
    ) -> Iterator[Event]:
        """As ``RecordingTranscriber.run``; progress tells of both kinds of work as one."""
        if options.separation is None:
            yield from self._transcriber.run(source, options, cancel, priority, resume)
            return
        token = cancel or CancelToken()
        with self._separation.separate(source, options.separation, for_speech=True) as work:
            told = -1.0
            for done, total in work.steps(token):
                if done > told:
                    told = done
                    yield Progress(SHARE * done, total)
            parts = work.parts
            events = self._transcriber.run(
                parts.voice,
                replace(options, separation=None),
                token,
                priority,
                resume,
                beside=SoundBeside(parts.voice, parts.rest, source),
            )
            for event in events:
                if isinstance(event, Progress) and event.done < parts.seconds:
                    share = SHARE * parts.seconds + (1 - SHARE) * event.done
                    event = Progress(share, parts.seconds)
                yield event
