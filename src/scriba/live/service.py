"""All live sessions of one process: opened, found again, ended, forgotten."""

from __future__ import annotations

import asyncio
import re
import secrets
import shutil
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from scriba.audio.live_pcm import PcmFormat
from scriba.domain.cancel import CancelToken
from scriba.domain.errors import (
    InvalidOptionError,
    ModelUnavailableError,
    OverloadedError,
    ScribaError,
    SessionNotFoundError,
)
from scriba.domain.transcript import Transcript
from scriba.engine.port import Engine, EngineProvider
from scriba.engine.scheduler import Priority, Scheduler
from scriba.live.events import Refined
from scriba.live.journal import Journal, Logged
from scriba.live.numbered import Failed, Finished, Numbered
from scriba.live.options import LiveOptions
from scriba.live.pace import Pace
from scriba.live.records import read_options, transcript_of, write_options
from scriba.live.refining import Refining
from scriba.live.session import LiveSession, SessionLimits
from scriba.live.speakers import SessionSpeakers
from scriba.live.state import WORKING, SessionState
from scriba.live.stream import LiveStream
from scriba.speakers.port import NetworkProvider
from scriba.transcribe.port import PriorityTranscriber

log = structlog.get_logger(__name__)

_ID = re.compile(r"live_[0-9a-f]{32}")
_SWEEP_SECONDS = 5.0
_RETRY_SECONDS = 5.0
_REFINING_AT_ONCE = 2


@dataclass(frozen=True, slots=True)
class LiveLimits:
    """Bounds of live sessions (``scriba.server.settings``: ``SCRIBA_LIVE__*``)."""

    max_sessions: int = 32
    max_seconds: float = 14_400.0
    buffer_seconds: float = 30.0
    resume_seconds: float = 60.0
    keep_seconds: float = 86_400.0
    sync_seconds: float = 0.5
    max_frame_bytes: int = 1_048_576
    exact: bool = False

    def max_bytes(self, form: PcmFormat | None) -> int:
        """Of a session's audio; a container of unknown kind may have as many as 16 bits at 48 kHz."""
        return round(self.max_seconds * (form.bytes_per_second if form is not None else 96_000))


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """A session as it is on disk."""

    id: str
    state: SessionState
    seq: int
    transcript: Transcript
    created: float
    error: str | None


class LiveService:
    """Belongs to one event loop; ``start`` and ``stop`` are called on it."""

    def __init__(
        self,
        engines: EngineProvider,
        scheduler: Scheduler,
        folder: Path,
        limits: LiveLimits | None = None,
        *,
        voices: NetworkProvider | None = None,
        transcriber: PriorityTranscriber | None = None,
        step_for: Callable[[LiveOptions], float] = lambda options: options.settle.step,
        try_out: Callable[[Engine, Scheduler], float] | None = None,
    ) -> None:
        """
        Args:
            try_out: seconds of a worker that a hearing takes (``scriba.live.trying_out``).
        """
        self.limits = limits or LiveLimits()
        self._engines = engines
        self._scheduler = scheduler
        self._folder = folder
        self._voices = voices
        self._step_for = step_for
        self._pace = Pace(scheduler.workers, lambda: scheduler.busy_seconds(Priority.LIVE))
        self._try_out = try_out
        self._sessions: dict[str, LiveSession] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._opening = 0
        self._taking_up: dict[str, asyncio.Lock] = {}
        self._transcriber = transcriber
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="scriba-live")
        self._refiners = ThreadPoolExecutor(_REFINING_AT_ONCE, thread_name_prefix="scriba-refine")
        self._sweeper: asyncio.Task[None] | None = None
        self._stopping = False

    @property
    def sessions(self) -> int:
        """Sessions that are being listened to."""
        return len(self._sessions)

    @property
    def full(self) -> bool:
        """Whether a further session would be refused."""
        return self._taken >= self.limits.max_sessions or self._refusal() is not None

    @property
    def _taken(self) -> int:
        return self.sessions + self._opening

    def _refusal(self) -> str | None:
        """Why the others would suffer from one session more. Nobody suffers where there is nobody."""
        return self._pace.refusal(self._opening) if self._taken else None

    def learn_cost(self) -> None:
        """Find out what hearings take with the default model, so that of many who come at once to a fresh
        server no more are taken than it can hear. Blocks for a second or so.

        Raises:
            ScribaError: the model cannot be had, or inference failed.
        """
        if self._try_out is not None:
            with self._engines.acquire(None) as engine:
                self._pace.cost = self._try_out(engine, self._scheduler)

    async def start(self) -> None:
        """Take up what an earlier process left unfinished, and begin to look after the folder."""
        # Looked for before any session is opened: a new one must not be taken for one that was left.
        left = await asyncio.to_thread(self._unfinished)
        self._sweeper = asyncio.create_task(self._look_after(left))

    async def stop(self) -> None:
        """Suspend every session: another process can take it up from the disk."""
        self._stopping = True
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.gather(self._sweeper, return_exceptions=True)
        for session in self._sessions.values():
            session.stop(SessionState.SUSPENDED)
        while self._tasks or self._opening:
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)
            await asyncio.sleep(0.01 if self._opening else 0)
        self._threads.shutdown(wait=False)
        self._refiners.shutdown(wait=False)

    async def open(
        self, options: LiveOptions, form: PcmFormat | None, *, sequenced: bool = False
    ) -> LiveSession:
        """Begin a session. ``form`` None: the audio is a container stream.

        Raises:
            OverloadedError: as many sessions as may be, or the machine is full.
            ScribaError: the model cannot be had or does not speak the language, or speakers are asked for and
                their model cannot be had, or a second hearing and this server does none.
        """
        self._admit()
        self._admit_another()
        if options.refine and self._transcriber is None:
            raise InvalidOptionError("This server hears no live session again.", field="refine")
        id_ = "live_" + secrets.token_hex(16)
        meta = {
            "id": id_,
            "created": time.time(),
            "sequenced": sequenced,
            "form": None if form is None else [form.encoding.value, form.sample_rate, form.channels],
            "options": write_options(options),
        }
        return await self._launch(id_, options, form, meta, None)

    async def resume(self, id_: str) -> LiveSession:
        """The session of that id: as it runs, or taken up from the disk.

        Raises:
            SessionNotFoundError: there is none.
            OverloadedError: as many sessions as may be.
        """
        if await self._logged(id_) is None:
            raise SessionNotFoundError(f"There is no live session {id_[:60]!r}.", field="session")
        # Two connections, or a connection and the recovery of a start, must not take up the same log.
        async with self._taking_up.setdefault(id_, asyncio.Lock()):
            try:
                session = self._sessions.get(id_)
                if session is not None and session.state in WORKING:
                    return session
                if session is not None:
                    await session.ended.wait()
                logged = await self._logged(id_)
                if logged is None or ended_of(logged) is not None:
                    raise SessionNotFoundError(
                        "The session has ended; its transcript can be fetched.", field="session"
                    )
                self._admit()
                options, form = read_options(logged.meta)
                return await self._launch(id_, options, form, logged.meta, logged)
            finally:
                self._taking_up.pop(id_, None)

    async def events(self, id_: str, after: int, until: int) -> list[Numbered]:
        """The kept events of a session with numbers above ``after``, up to ``until``."""
        logged = await self._logged(id_)
        if logged is None:
            return []
        return [own for own in logged.events if after < own.seq <= until]

    async def record(self, id_: str) -> SessionRecord:
        """What was said in it so far.

        Raises:
            SessionNotFoundError: there is no such session.
        """
        logged = await self._logged(id_)
        if logged is None:
            raise SessionNotFoundError(f"There is no live session {id_[:60]!r}.", field="session")
        session = self._sessions.get(id_)
        last = ended_of(logged)
        state = SessionState.SUSPENDED if session is None else session.state
        if state is SessionState.FINISHED:  # its last events were not in the log yet when that was read
            state = SessionState.FINISHING
        if isinstance(last, Finished):
            state = SessionState.FINISHED
        elif isinstance(last, Failed):
            state = SessionState.FAILED
        return SessionRecord(
            id_,
            state,
            logged.events[-1].seq if logged.events else 0,
            transcript_of(logged),
            logged.meta["created"],
            last.message if isinstance(last, Failed) else None,
        )

    async def delete(self, id_: str) -> None:
        """End it if it runs, and forget it.

        Raises:
            SessionNotFoundError: there is no such session.
        """
        if await self._logged(id_) is None:
            raise SessionNotFoundError(f"There is no live session {id_[:60]!r}.", field="session")
        session = self._sessions.get(id_)
        if session is not None:
            session.stop(SessionState.ENDED)
            await session.ended.wait()
        await asyncio.to_thread(shutil.rmtree, self._folder / id_, True)

    def _admit(self) -> None:
        if self._stopping:
            raise OverloadedError("The server is shutting down.", retry_after=10.0)
        if self._taken >= self.limits.max_sessions:
            raise OverloadedError(
                f"The server is full: it has {self._taken} live sessions and takes no more than "
                f"{self.limits.max_sessions}.",
                retry_after=_RETRY_SECONDS,
            )

    def _admit_another(self) -> None:
        """Those who come back are not asked: they were there before."""
        why = self._refusal()
        if why is not None:
            raise OverloadedError(
                f"The machine is full with the {self._taken} live sessions there are: {why}.",
                retry_after=_RETRY_SECONDS,
            )

    async def _launch(
        self,
        id_: str,
        options: LiveOptions,
        form: PcmFormat | None,
        meta: dict[str, Any],
        logged: Logged | None,
    ) -> LiveSession:
        self._opening += 1
        loop = asyncio.get_running_loop()
        try:
            leases, engine, speakers = await loop.run_in_executor(None, self._acquire, id_, options, form)
            try:
                stream = await loop.run_in_executor(
                    None, self._stream, id_, options, form, meta, logged, engine, speakers
                )
            except BaseException:
                leases.close()
                raise
        finally:
            self._opening -= 1
        limits = SessionLimits(
            max_bytes=self.limits.max_bytes(form),
            buffer_seconds=self.limits.buffer_seconds,
            sync_seconds=self.limits.sync_seconds,
            exact=self.limits.exact,
        )
        session = LiveSession(
            id_,
            stream,
            engine,
            self._scheduler,
            self._pace,
            limits,
            self._threads,
            self._step_for(options),
            frame=(logged.frame if logged is not None else 0) if meta["sequenced"] else None,
            speakers=speakers,
            refine=self._refine(id_, options, form) if options.refine else None,
        )
        if self._stopping:
            session.stop(SessionState.SUSPENDED)
        self._pace.arrive(id_)
        self._sessions[id_] = session
        self._tasks[id_] = asyncio.create_task(self._run(session, leases))
        return session

    def _refine(
        self, id_: str, options: LiveOptions, form: PcmFormat | None
    ) -> Callable[[CancelToken], Future[Refined | None]]:
        assert self._transcriber is not None  # noqa: S101 -- seen to when it was opened
        refining = Refining(self._transcriber, self._folder / id_ / "audio", form, options)
        return lambda cancel: self._refiners.submit(refining.run, cancel)

    def _acquire(
        self, id_: str, options: LiveOptions, form: PcmFormat | None
    ) -> tuple[ExitStack, Engine, SessionSpeakers | None]:
        with ExitStack() as leases:
            lease = self._engines.acquire(
                options.model, language=options.language.language, task=options.task
            )
            engine = leases.enter_context(lease)
            speakers: SessionSpeakers | None = None
            if options.speakers is not None:
                if self._voices is None:
                    raise ModelUnavailableError(
                        "This server tells no speakers apart in live sessions.", field="diarize"
                    )
                networks = leases.enter_context(self._voices.acquire(CancelToken()))
                audio = self._folder / id_ / "audio"
                speakers = SessionSpeakers(
                    options.speakers, networks, self._scheduler, audio, form, self._threads
                )
            return leases.pop_all(), engine, speakers
        raise AssertionError("no lease swallows an error")

    def _stream(
        self,
        id_: str,
        options: LiveOptions,
        form: PcmFormat | None,
        meta: dict[str, Any],
        logged: Logged | None,
        engine: Engine,
        speakers: SessionSpeakers | None,
    ) -> LiveStream:
        folder = self._folder / id_
        languages = engine.capabilities.languages
        meta = meta | {"model": engine.model}
        journal = (
            Journal.create(folder, meta)
            if logged is None
            else Journal.reopen(folder, sequenced=meta["sequenced"])
        )
        stream = LiveStream(options, form, languages, journal, None if speakers is None else speakers.label)
        if logged is not None:
            fresh = Logged.read(folder)
            assert fresh is not None  # noqa: S101
            stream.replay(folder, fresh)
        return stream

    async def _run(self, session: LiveSession, leases: ExitStack) -> None:
        try:
            await session.run()
        finally:
            self._sessions.pop(session.id, None)
            self._tasks.pop(session.id, None)
            await asyncio.get_running_loop().run_in_executor(None, leases.close)

    async def _logged(self, id_: str) -> Logged | None:
        if not _ID.fullmatch(id_):  # never a path of somebody's making
            return None
        return await asyncio.to_thread(Logged.read, self._folder / id_)

    async def _look_after(self, left: list[str]) -> None:
        await self._recover(left)
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            now = time.monotonic()
            for session in list(self._sessions.values()):
                if (
                    session.state is SessionState.DETACHED
                    and now - session.idle_since > self.limits.resume_seconds
                ):
                    log.info("live session finished without its client", session=session.id)
                    session.finish()
            with suppress(OSError):
                await asyncio.to_thread(self._expire)

    async def _recover(self, left: list[str]) -> None:
        for id_ in left:
            try:
                await self.resume(id_)
                log.info("live session taken up from disk", session=id_)
            except ScribaError as error:
                log.warning("live session not taken up", session=id_, why=error.message)
            except Exception:
                log.exception("live session not taken up", session=id_)

    def _unfinished(self) -> list[str]:
        found = []
        for path in self._folders():
            logged = Logged.read(path)
            if logged is not None and ended_of(logged) is None:
                found.append(path.name)
        return found

    def _expire(self) -> None:
        """Forget sessions that were last written to longer ago than they are kept."""
        for path in self._folders():
            if path.name in self._sessions:
                continue
            newest = max((own.stat().st_mtime for own in path.iterdir()), default=path.stat().st_mtime)
            if time.time() - newest > self.limits.keep_seconds:
                shutil.rmtree(path, ignore_errors=True)

    def _folders(self) -> list[Path]:
        if not self._folder.is_dir():
            return []
        return [path for path in self._folder.iterdir() if _ID.fullmatch(path.name)]


def ended_of(logged: Logged) -> Finished | Failed | None:
    """The event that ended the session, if one did."""
    last = logged.events[-1].event if logged.events else None
    return last if isinstance(last, (Finished, Failed)) else None
