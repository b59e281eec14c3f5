"""Doing a job: from its recording and options to its result's document."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Protocol, TypeVar

from scriba.domain.cancel import CancelToken
from scriba.domain.errors import EngineError, MediaLostError, UnsupportedOptionError
from scriba.domain.events import Event, Finished, Progress, WindowFinished, WindowHeard
from scriba.domain.job import Job, JobKind, JobProgress
from scriba.domain.media import Media
from scriba.domain.options import SeparationOptions, TranscribeOptions, VadOptions
from scriba.domain.resume import ResumePoint
from scriba.jobs.checkpoint import heard_document, resume_point, window_document
from scriba.jobs.codec import dumps, options_from_json, separation_from_json, transcript_to_json
from scriba.jobs.separating import Archive, Note, VoiceSeparator, make_archive
from scriba.store.files import FileStore, StoredFile
from scriba.store.media import MediaStore
from scriba.transcribe.aio import open_events
from scriba.transcribe.batch import ResumableTranscriber
from scriba.transcribe.port import Source
from scriba.transcribe.voice import Voice

T = TypeVar("T")

_THREADS = 64
_TELL_SECONDS = 0.5
"""How often the progress of work without windows is written down."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a job brought forth. ``audio_duration`` is in seconds."""

    document: bytes
    language: str | None
    audio_duration: float
    own: bool = False
    """With files of its own, which expire: no other job can be answered with it."""


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

    def __init__(
        self,
        media: MediaStore,
        transcriber: ResumableTranscriber,
        voice: VoiceFinder,
        separator: VoiceSeparator | None = None,
        files: FileStore | None = None,
    ) -> None:
        self._media = media
        self._transcriber = transcriber
        self._voice = voice
        self._separator = separator
        self._files = files
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
            if job.kind is JobKind.SEPARATION:
                separation = separation_from_json(json.loads(job.options)) or SeparationOptions()
                return await self._separate(source, recording, separation, cancel, tell_progress)
            options = options_from_json(json.loads(job.options))
            kept: StoredFile | None = None
            if options.separation is not None and options.separation.keep:
                separated = await self._keep_parts(
                    source, recording, options.separation, cancel, tell_progress
                )
                kept = separated[0]
            return await self._transcribe(
                options, source, resume_point(done), cancel, tell, tell_progress, kept
            )

    async def _transcribe(
        self,
        options: TranscribeOptions,
        source: Source,
        point: ResumePoint,
        cancel: CancelToken,
        tell: Tell,
        tell_progress: TellProgress,
        kept: StoredFile | None,
    ) -> Outcome:
        progress = JobProgress()
        told = time.monotonic()
        async with open_events(_Resumed(self._transcriber, point), source, options, cancel) as events:
            async for event in events:
                if isinstance(event, Progress):
                    progress = JobProgress(event.done, event.total)
                    first = options.separation is not None or options.speakers is not None
                    if first and time.monotonic() - told >= _TELL_SECONDS:
                        # There is no window to tell of while the voice is parted, or speakers are told apart.
                        told = time.monotonic()
                        await tell_progress(progress)
                elif isinstance(event, WindowHeard):
                    document = heard_document(event.window)
                    await tell(WindowReport(event.window.number, document, progress, point.language))
                elif isinstance(event, WindowFinished):
                    document = window_document(point, event.point)
                    point = event.point
                    await tell(WindowReport(point.windows - 1, document, progress, point.language))
                elif isinstance(event, Finished):
                    transcript = event.transcript
                    body = transcript_to_json(transcript)
                    if kept is not None:
                        body["file"] = asdict(kept)
                    return Outcome(
                        dumps(body).encode(), transcript.language, transcript.duration, own=kept is not None
                    )
        raise EngineError("The transcription ended without a result.")

    async def _find_voice(self, job: Job, source: Source, cancel: CancelToken, tell: TellProgress) -> Outcome:
        options = VadOptions(**json.loads(job.options))
        voice = await self._on_a_thread(
            lambda note: self._voice.run(source, options, cancel, note), cancel, tell
        )
        return Outcome(dumps({"regions": voice.regions}).encode(), None, voice.duration)

    async def _separate(
        self,
        source: Source,
        recording: Media,
        options: SeparationOptions,
        cancel: CancelToken,
        tell: TellProgress,
    ) -> Outcome:
        stored, archive = await self._keep_parts(source, recording, options, cancel, tell)
        body = {
            "vocal_hash": archive.hashes.vocal,
            "instrumental_hash": archive.hashes.instrumental,
            "file": asdict(stored),
        }
        return Outcome(dumps(body).encode(), None, archive.seconds, own=True)

    async def _keep_parts(
        self,
        source: Source,
        recording: Media,
        options: SeparationOptions,
        cancel: CancelToken,
        tell: TellProgress,
    ) -> tuple[StoredFile, Archive]:
        separator, files = self._separator, self._files
        if separator is None or files is None:
            raise UnsupportedOptionError("This worker does not part voice from music.")
        archive = await self._on_a_thread(
            lambda note: make_archive(separator, source, recording, options, self._media.spool, cancel, note),
            cancel,
            tell,
        )
        with archive.file:
            return await files.put(archive.file, archive.name), archive

    async def _on_a_thread(self, work: Callable[[Note], T], cancel: CancelToken, tell: TellProgress) -> T:
        """Blocking work, with its progress told now and then."""
        progress = JobProgress()

        def note(done: float, total: float | None) -> None:
            nonlocal progress
            progress = JobProgress(done, total)

        running = asyncio.get_running_loop().run_in_executor(self._threads, work, note)
        try:
            while not running.done():
                await asyncio.wait({running}, timeout=_TELL_SECONDS)
                if not running.done():
                    await tell(progress)
        finally:
            if not running.done():
                cancel.cancel()
                await asyncio.wait({running})
        return running.result()


@dataclass(frozen=True, slots=True)
class _Resumed:
    """A transcriber that begins behind what is finished."""

    transcriber: ResumableTranscriber
    point: ResumePoint

    def run(
        self, source: Source, options: TranscribeOptions, cancel: CancelToken | None = None
    ) -> Iterator[Event]:
        return self.transcriber.run(source, options, cancel or CancelToken(), self.point)
