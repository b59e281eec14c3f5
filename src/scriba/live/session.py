"""The asynchronous half of a session: its life, its clients, and one hearing at a time."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog

from scriba.domain.cancel import CancelToken
from scriba.domain.errors import (
    CancelledByUserError,
    EngineError,
    InvalidOptionError,
    MediaTooLargeError,
    OverloadedError,
    ScribaError,
)
from scriba.domain.speakers import SpeakerTurn
from scriba.engine.port import Engine
from scriba.engine.scheduler import Priority, Scheduler
from scriba.live.events import Lag, Refined
from scriba.live.hearing import Hearing
from scriba.live.numbered import Acknowledged, Failed, Numbered
from scriba.live.outbox import Outbox
from scriba.live.pace import AT_EASE, Effort, Pace
from scriba.live.speakers import SessionSpeakers
from scriba.live.state import TAKES_AUDIO, WORKING, SessionState, take_edge
from scriba.live.stream import FINISH, FLUSH, LiveStream
from scriba.live.work import Kind, Work

T = TypeVar("T")
log = structlog.get_logger(__name__)

_PIECE_BYTES = 64_000
"""Audio taken in at once: a large message must not keep a hearing's result waiting."""
_LAG_TOLD_FROM = 2.0
_RETRY_SECONDS = 0.2
_MOST_RETRIES = 3


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """``max_bytes`` of audio in all, ``buffer_seconds`` of it in memory; ``sync_seconds`` between syncs.

    ``exact``: no hearing is left out, however full the machine is.
    """

    max_bytes: int
    buffer_seconds: float = 30.0
    sync_seconds: float = 0.5
    inbox_bytes: int = 4_000_000
    exact: bool = False


class LiveSession:
    """One session on one event loop. ``run`` is its task; the other methods are called by its clients."""

    def __init__(
        self,
        id_: str,
        stream: LiveStream,
        engine: Engine,
        scheduler: Scheduler,
        pace: Pace,
        limits: SessionLimits,
        executor: Executor,
        step: float,
        *,
        frame: int | None = None,
        speakers: SessionSpeakers | None = None,
        refine: Callable[[CancelToken], Future[Refined | None]] | None = None,
    ) -> None:
        """
        Args:
            step: seconds of audio between two hearings.
            frame: number of the client's last frame in the log; None when its frames have no numbers.
            speakers: finds out who speaks; None when nobody asked.
            refine: begins to hear all of it again; None when nobody asked.
        """
        self.id = id_
        self.state = SessionState.DETACHED
        self.error: ScribaError | None = None
        self.idle_since = time.monotonic()
        self.frame = frame
        self._stream = stream
        self._engine = engine
        self._scheduler = scheduler
        self._pace = pace
        self._limits = limits
        self._executor = executor
        self._step = step
        self.speakers = speakers
        self._telling: asyncio.Task[list[SpeakerTurn] | None] | None = None
        self._refine = refine
        self._refining: Future[Refined | None] | None = None
        self._inbox: deque[bytes | str] = deque()
        self._inbox_bytes = 0
        self._accepted = stream.received
        self._frames: deque[tuple[int, int]] = deque()
        self._ending = stream.finished
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._outbox: Outbox | None = None
        self._published = stream.seq
        self._work: Work | None = None
        self._future: Future[Hearing] | None = None
        self._waited = False
        self._retries = 0
        self._cancel = CancelToken()
        self._synced = stream.received
        self._synced_at = time.monotonic()
        self._lag_told = 0.0
        self.ended = asyncio.Event()
        if self._ending:
            self._become(SessionState.FINISHING)

    @property
    def received(self) -> int:
        """Bytes of audio accepted so far; those acknowledged are on the disk as well."""
        return self._accepted

    @property
    def seq(self) -> int:
        return self._published

    def attach(self) -> Outbox:
        """A client is here; one that was here before is told to go."""
        if self._outbox is not None:
            self._outbox.close("replaced")
        elif self.state is SessionState.DETACHED:
            self._become(SessionState.OPEN)
        self._outbox = Outbox()
        if self.ended.is_set():
            self._outbox.close("ended")
        return self._outbox

    def detach(self, outbox: Outbox) -> None:
        """The client is gone."""
        if self._outbox is outbox:
            self._outbox = None
            self.idle_since = time.monotonic()
            if self.state is SessionState.OPEN:
                self._become(SessionState.DETACHED)

    async def audio(self, data: bytes, frame: int | None = None) -> None:
        """Take in audio; waits while more waits than may be held.

        Raises:
            InvalidOptionError: the session has been told to finish.
            MediaTooLargeError: it would be longer than a session may be.
            ScribaError: the session has failed.
        """
        self._require_open()
        if self._accepted + len(data) > self._limits.max_bytes:
            raise MediaTooLargeError(
                f"A live session takes no more than {self._limits.max_bytes} bytes of audio, "
                f"and this one has had {self._accepted}.",
                field="audio",
            )
        self._accepted += len(data)
        if frame is not None:
            self.frame = frame
            self._frames.append((self._accepted, frame))
        for start in range(0, len(data), _PIECE_BYTES):
            piece = data[start : start + _PIECE_BYTES]
            self._inbox.append(piece)
            self._inbox_bytes += len(piece)
        self._news.set()
        while self._inbox_bytes > self._limits.inbox_bytes and self.state in WORKING:
            self._room.clear()
            await self._room.wait()

    def flush(self) -> None:
        """What was said so far is complete: settle it."""
        self._require_open()
        self._inbox.append(FLUSH)
        self._news.set()

    def finish(self) -> None:
        """No more audio comes; ``ended`` is set when all of it was heard."""
        if self.state in TAKES_AUDIO:
            self._become(SessionState.FINISHING)
            self._inbox.append(FINISH)
            self._ending = True
            self._news.set()

    def stop(self, state: SessionState) -> None:
        """End it where it stands: ``SUSPENDED`` on the server's shutdown, ``ENDED`` when deleted."""
        if self.state in WORKING:
            self._become(state)
            self._cancel.cancel()
            self._news.set()

    def _require_open(self) -> None:
        if self.error is not None:
            raise self.error
        if self.state not in TAKES_AUDIO:
            raise InvalidOptionError(f"The session takes no more audio: it is {self.state}.", field="audio")

    async def run(self) -> None:
        """Work until the session has ended."""
        if self.speakers is not None:
            effort = None if self._limits.exact else self._effort
            self._telling = asyncio.create_task(self.speakers.run(self._stream, effort, self._cancel))
            self._telling.add_done_callback(lambda _: self._news.set())
        try:
            while self.state in WORKING:
                self._news.clear()
                if not await self._turn():
                    await self._wait()
        except ScribaError as error:
            await self._fail(error)
        except Exception:
            log.exception("live session failed", session=self.id)
            await self._fail(EngineError("The live session failed; the server's log has the cause."))
        finally:
            self._cancel.cancel()
            self._pace.depart(self.id)
            if self.speakers is not None and self._telling is not None:
                self.speakers.wake()
                await asyncio.wait([self._telling])
            if self._refining is not None and not self._refining.cancel():
                await asyncio.wait([asyncio.wrap_future(self._refining)])
            await asyncio.shield(self._in_thread(self._stream.close))
            self._room.set()
            self.ended.set()
            if self._outbox is not None:
                self._outbox.close("ended")

    async def _turn(self) -> bool:
        """One step of whatever is due; False when there is nothing to do."""
        busy = await self._take_in()
        if self._future is not None and self._future.done():
            await self._take_result()
            busy = True
        if self._future is None:
            busy = self._begin() or busy
        if self._stream.has_events:  # what needed no hearing
            self._publish(await self._in_thread(self._stream.events))
        await self._sync()
        self._tell_lag()
        if self._ending and not self._inbox and self._work is None and not busy:
            self._begin_refining()
            if any(own is not None and not own.done() for own in (self._telling, self._refining)):
                return False
            turns = None if self._telling is None else self._telling.result()
            refined = None if self._refining is None else self._refining.result()
            self._become(SessionState.FINISHED)
            self._publish(await self._in_thread(lambda: self._finish(turns, refined)))
            return True
        return busy

    def _begin_refining(self) -> None:
        if self._refine is not None and self._refining is None:
            self._refining = self._refine(self._cancel)
            self._refining.add_done_callback(self._wake_from_thread())

    def _finish(self, turns: list[SpeakerTurn] | None, refined: Refined | None) -> list[Numbered]:
        events = [*self._stream.events(), *self._stream.finish(turns, refined)]
        self._stream.sync()
        return events

    async def _take_in(self) -> bool:
        if not self._inbox or self._stream.waiting_seconds > self._limits.buffer_seconds:
            return False
        items: list[bytes | str] = []
        size = 0
        while self._inbox and size < _PIECE_BYTES:
            item = self._inbox.popleft()
            items.append(item)
            size += len(item) if isinstance(item, bytes) else 0
        self._inbox_bytes -= size
        if self._inbox_bytes <= self._limits.inbox_bytes:
            self._room.set()

        def work() -> list[Numbered]:
            self._stream.ingest(items)
            return self._stream.events()

        self._publish(await self._in_thread(work))
        if self.speakers is not None:
            self.speakers.wake()
        return True

    def _effort(self) -> Effort:
        return AT_EASE if self._limits.exact else self._pace.effort(self._step)

    def _begin(self) -> bool:
        """Ask for the next hearing and begin it in its turn; whether anything came of it."""
        if self._work is None:
            self._work = self._stream.next_work(self._effort())
            self._retries = 0
            if self._work is None:
                return False
            self._pace.ask(self.id)
        if not self._pace.gate.enter(self.id, self._news.set):
            self._waited = True
            return False
        if self._waited:
            self._waited = False
            self._work = self._stream.renew(self._work, self._effort())
            if self._work is None:
                self._pace.withdraw(self.id)
                return True
        try:
            self._future = self._scheduler.submit(
                self._work.flow(),
                self._engine,
                priority=Priority.LIVE,
                cancel=self._cancel,
                patience=self._pace.company,
            )
        except OverloadedError:
            asyncio.get_running_loop().call_later(_RETRY_SECONDS, self._news.set)
            return False
        self._future.add_done_callback(self._wake_from_thread())
        return True

    def _wake_from_thread(self) -> Callable[[object], None]:
        loop = asyncio.get_running_loop()

        def wake(_: object) -> None:
            with suppress(RuntimeError):  # the loop is closed when the process is told to end at once
                loop.call_soon_threadsafe(self._news.set)

        return wake

    async def _take_result(self) -> None:
        assert self._future is not None  # noqa: S101
        assert self._work is not None  # noqa: S101
        future, self._future = self._future, None
        self._pace.answer(self.id)
        work = self._work
        try:
            hearing = future.result()
        except CancelledByUserError:
            if self.state in WORKING:
                raise
            return
        except EngineError:
            self._retries += 1
            if work.kind is not Kind.FINAL:
                self._work = None  # later audio will tell
            elif self._retries >= _MOST_RETRIES:
                raise
            else:
                self._pace.ask(self.id)
            return
        self._work = None

        def take() -> list[Numbered]:
            self._stream.take(work, hearing)
            return self._stream.events()

        self._publish(await self._in_thread(take))

    async def _sync(self) -> None:
        now = time.monotonic()
        if self._stream.received == self._synced or now - self._synced_at < self._limits.sync_seconds:
            return
        self._synced_at = now
        frame: int | None = None
        while self._frames and self._frames[0][0] <= self._stream.received:
            frame = self._frames.popleft()[1]
        self._synced = await self._in_thread(lambda: self._stream.sync(frame))
        if self._outbox is not None:
            acknowledged = Acknowledged(self._synced, frame)
            self._outbox.put(Numbered(self._published, acknowledged, kept=False))

    def _tell_lag(self) -> None:
        seconds = self._stream.listener.behind
        if (seconds >= _LAG_TOLD_FROM) != (self._lag_told > 0) or seconds > 2 * self._lag_told > 0:
            self._lag_told = seconds if seconds >= _LAG_TOLD_FROM else 0.0
            if self._outbox is not None:
                self._outbox.put(Numbered(self._published, Lag(round(seconds, 2)), kept=False))

    async def _wait(self) -> None:
        unsynced = self._stream.received != self._synced
        timeout = self._limits.sync_seconds if unsynced else None
        with suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), timeout)

    def _publish(self, events: list[Numbered]) -> None:
        for numbered in events:
            self._published = numbered.seq
            if self._outbox is not None:
                self._outbox.put(numbered)

    async def _fail(self, error: ScribaError) -> None:
        self.error = error
        if self.state in WORKING:
            self._become(SessionState.FAILED)
            failed = Failed(error.code, error.message)
            with suppress(OSError):
                self._publish(await self._in_thread(lambda: self._stream.end(failed)))

    def _become(self, state: SessionState) -> None:
        self.state = take_edge(self.state, state)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)


def describe(session: LiveSession) -> dict[str, Any]:
    """For the log: nothing of what was said."""
    return {"session": session.id, "state": session.state.value, "bytes": session.received}
