"""Transcription with speakers: who speaks when is found out first, so each segment comes with its speaker."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import TypeVar

from scriba.domain.cancel import CancelToken
from scriba.domain.events import Event, Finished, Progress, SegmentReady, WindowFinished
from scriba.domain.options import TranscribeOptions
from scriba.domain.resume import ResumePoint
from scriba.domain.speakers import SpeakerOptions, SpeakerTurn
from scriba.domain.transcript import Segment
from scriba.engine.scheduler import Priority, Scheduler
from scriba.speakers.assigning import Speakers
from scriba.speakers.port import Diarizer
from scriba.transcribe.beside import SoundBeside
from scriba.transcribe.port import Source
from scriba.transcribe.recording import RecordingTranscriber

T = TypeVar("T")

_SHARE = 0.15
"""Of the whole work, what finding out who speaks is taken to be."""
_TELL_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class ScheduledSteps:
    """Implements ``scriba.speakers.port.Steps`` on the scheduler that all inference goes through."""

    scheduler: Scheduler
    priority: Priority
    cancel: CancelToken

    @property
    def width(self) -> int:
        return self.scheduler.workers

    def submit(self, work: Callable[[], T]) -> Future[T]:
        return self.scheduler.call(work, priority=self.priority, cancel=self.cancel)


class SpeakerTranscriber:
    """Implements ``scriba.transcribe.port.Transcriber``: hands on what does not ask for speakers."""

    def __init__(self, transcriber: RecordingTranscriber, diarizer: Diarizer, scheduler: Scheduler) -> None:
        self._transcriber = transcriber
        self._diarizer = diarizer
        self._scheduler = scheduler

    def run(
        self,
        source: Source,
        options: TranscribeOptions,
        cancel: CancelToken | None = None,
        priority: Priority = Priority.INTERACTIVE,
        resume: ResumePoint | None = None,
        beside: SoundBeside | None = None,
    ) -> Iterator[Event]:
        token = cancel or CancelToken()
        if options.speakers is None:
            yield from self._transcriber.run(source, options, token, priority, resume, beside=beside)
            return
        turns: list[SpeakerTurn] = []
        examined = source
        if options.speakers.channels and beside is not None and beside.recording is not None:
            examined = beside.recording  # the voice that was parted from music has one channel
        yield from self._find(examined, options.speakers, priority, token, turns)
        labelled = _Labelled(turns, words=options.words, sent=len(resume.segments) if resume else 0)
        # A segment can only end where the speaker changes if it is known where its words are.
        inner = replace(options, words=True, speakers=None)
        heard = self._transcriber.run(source, inner, token, priority, resume, beside=beside)
        yield from labelled.events(heard)

    def _find(
        self,
        source: Source,
        wish: SpeakerOptions,
        priority: Priority,
        cancel: CancelToken,
        turns: list[SpeakerTurn],
    ) -> Iterator[Progress]:
        """Fill ``turns``. The work has a thread of its own, so that progress is told meanwhile."""
        news: queue.SimpleQueue[tuple[float, float | None] | None] = queue.SimpleQueue()
        steps = ScheduledSteps(self._scheduler, priority, cancel)
        failed: list[BaseException] = []

        def work() -> None:
            try:
                turns.extend(
                    self._diarizer.run(source, wish, steps, cancel, lambda done, of: news.put((done, of)))
                )
            except BaseException as error:  # raised again on the other side
                failed.append(error)
            finally:
                news.put(None)

        thread = threading.Thread(target=work, name="scriba-speakers", daemon=True)
        thread.start()
        try:
            told = -_TELL_SECONDS
            while (item := news.get()) is not None:
                done, total = item
                if done * _SHARE - told >= _TELL_SECONDS:
                    told = done * _SHARE
                    yield Progress(told, total)
        except GeneratorExit:
            cancel.cancel()
            raise
        finally:
            thread.join()  # it reads the source, which may be closed when this returns
        if failed:
            raise failed[0]


class _Labelled:
    """A transcription's events with speakers put in."""

    def __init__(self, turns: list[SpeakerTurn], *, words: bool, sent: int) -> None:
        self._turns = tuple(turns)
        self._speakers = Speakers(turns)
        self._words = words
        self._sent = sent
        self._points: list[Segment] = []
        self._taken = 0

    def events(self, events: Iterator[Event]) -> Iterator[Event]:
        for event in events:
            match event:
                case SegmentReady(segment):
                    for piece in self._label(segment):
                        yield SegmentReady(replace(piece, id=self._sent))
                        self._sent += 1
                case Progress(done, total) if total:
                    yield Progress(total * _SHARE + done * (1 - _SHARE), total)
                case WindowFinished(point):
                    yield WindowFinished(self._point(point))
                case Finished(transcript):
                    segments = self._numbered(transcript.segments)
                    yield Finished(replace(transcript, segments=segments, turns=self._turns))
                case _:
                    yield event

    def _label(self, segment: Segment) -> list[Segment]:
        return self._speakers.label(segment, words=self._words)

    def _numbered(self, segments: tuple[Segment, ...]) -> tuple[Segment, ...]:
        pieces = [piece for segment in segments for piece in self._label(segment)]
        return tuple(replace(piece, id=index) for index, piece in enumerate(pieces))

    def _point(self, point: ResumePoint) -> ResumePoint:
        """A point whose segments have their speakers: who goes on behind it leaves them as they are."""
        for segment in point.segments[self._taken :]:
            self._points += self._label(segment)
        self._taken = len(point.segments)
        numbered = tuple(replace(piece, id=index) for index, piece in enumerate(self._points))
        return replace(point, segments=numbered)
