"""Doing a job: from its recording and options to its result's document."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from scriba.domain.cancel import CancelToken
from scriba.domain.errors import EngineError, MediaLostError
from scriba.domain.events import Event, Finished, Progress, WindowFinished, WindowHeard
from scriba.domain.job import Job, JobKind, JobProgress
from scriba.domain.options import TranscribeOptions, VadOptions
from scriba.domain.resume import ResumePoint
from scriba.jobs.checkpoint import heard_document, resume_point, window_document
from scriba.jobs.codec import dumps, options_from_json, transcript_to_json
from scriba.store.media import MediaStore
from scriba.transcribe.aio import open_events
from scriba.transcribe.batch import ResumableTranscriber
from scriba.transcribe.port import Source
from scriba.transcribe.voice import Voice

_THREADS = 64
_TELL_SECONDS = 0.5
"""How often the progress of work without windows is written down."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a job brought forth. ``audio_duration`` is in seconds."""

    document: bytes
    language: str | None
    audio_duration: float


@dataclass(frozen=True, slots=True)
class WindowReport:
    """A window that was finished, or heard before its turn.

    Its number, its document, how far the job has come, and the language last heard.
    """

    number: int
    document: str
    progress: JobProgress
    language: str | None


Tell = Callable[[WindowReport], Awaitable[None]]
TellProgress = Callable[[JobProgress], Awaitable[None]]


class VoiceFinder(Protocol):
    """See ``scriba.transcribe.voice.VoiceActivity``."""

    def run(
        self,
        source: Source,
        options: VadOptions,
        cancel: CancelToken,
        tell: Callable[[float, float | None], None],
    ) -> Voice: ...


class Runner:
    """Does jobs of every kind. Knows nothing of leases."""

    def __init__(self, media: MediaStore, transcriber: ResumableTranscriber, voice: VoiceFinder) -> None:
        self._media = media
        self._transcriber = transcriber
        self._voice = voice
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="scriba-voice")

    async def run(
        self, job: Job, done: list[str], cancel: CancelToken, tell: Tell, tell_progress: TellProgress
    ) -> Outcome:
        """Do the job. Setting ``cancel`` ends it at the next step of inference.

        Args:
            done: documents of the windows that an earlier try has finished.
            tell: awaited for every window that is finished; what it raises ends the work.

        Raises:
            ScribaError: the recording, the options or the server are at fault.
        """
        recording = None if job.media_id is None else await self._media.find(job.media_id)
        if recording is None:
            raise MediaLostError("The recording of this job is no longer in the store.")
        async with self._media.open(recording) as source:
            if job.kind is JobKind.VAD:
                return await self._find_voice(job, source, cancel, tell_progress)
            return await self._transcribe(job, source, resume_point(done), cancel, tell)

    async def _transcribe(
        self, job: Job, source: Source, point: ResumePoint, cancel: CancelToken, tell: Tell
    ) -> Outcome:
        options = options_from_json(json.loads(job.options))
        progress = JobProgress()
        async with open_events(_Resumed(self._transcriber, point), source, options, cancel) as events:
            async for event in events:
                if isinstance(event, Progress):
                    progress = JobProgress(event.done, event.total)
                elif isinstance(event, WindowHeard):
                    document = heard_document(event.window)
                    await tell(WindowReport(event.window.number, document, progress, point.language))
                elif isinstance(event, WindowFinished):
                    document = window_document(point, event.point)
                    point = event.point
                    await tell(WindowReport(point.windows - 1, document, progress, point.language))
                elif isinstance(event, Finished):
                    transcript = event.transcript
                    document = dumps(transcript_to_json(transcript))
                    return Outcome(document.encode(), transcript.language, transcript.duration)
        raise EngineError("The transcription ended without a result.")

    async def _find_voice(self, job: Job, source: Source, cancel: CancelToken, tell: TellProgress) -> Outcome:
        options = VadOptions(**json.loads(job.options))
        progress = JobProgress()

        def note(done: float, total: float | None) -> None:
            nonlocal progress
            progress = JobProgress(done, total)

        loop = asyncio.get_running_loop()
        work = loop.run_in_executor(self._threads, self._voice.run, source, options, cancel, note)
        try:
            while not work.done():
                await asyncio.wait({work}, timeout=_TELL_SECONDS)
                if not work.done():
                    await tell(progress)
        finally:
            if not work.done():
                cancel.cancel()
                await asyncio.wait({work})
        voice = work.result()
        return Outcome(dumps({"regions": voice.regions}).encode(), None, voice.duration)


@dataclass(frozen=True, slots=True)
class _Resumed:
    """A transcriber that begins behind what is finished."""

    transcriber: ResumableTranscriber
    point: ResumePoint

    def run(
        self, source: Source, options: TranscribeOptions, cancel: CancelToken | None = None
    ) -> Iterator[Event]:
        return self.transcriber.run(source, options, cancel or CancelToken(), self.point)
