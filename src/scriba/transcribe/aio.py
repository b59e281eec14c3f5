"""A blocking transcription as an asynchronous stream of events.

The work runs on a thread of its own, so that the event loop never waits on inference and long work never
takes the threads that file access needs. Events cross over a bounded queue: a slow reader slows it down.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from scriba.domain.cancel import CancelToken
from scriba.domain.errors import EngineError
from scriba.domain.events import Event, Finished
from scriba.domain.options import TranscribeOptions
from scriba.domain.transcript import Transcript
from scriba.transcribe.port import Source, Transcriber

QUEUE_EVENTS = 32
_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class _End:
    error: BaseException | None


class _Bridge:
    """The two ends of the queue: ``pump`` runs on the worker thread, everything else on the loop."""

    def __init__(self, cancel: CancelToken) -> None:
        self._cancel = cancel
        self._loop = asyncio.get_running_loop()
        self._items: asyncio.Queue[Event | _End] = asyncio.Queue()
        self._slots = threading.Semaphore(QUEUE_EVENTS)
        self._ended = asyncio.Event()

    def pump(self, start: Callable[[], Iterator[Event]]) -> None:
        error: BaseException | None = None
        try:
            events = start()
            try:
                for event in events:
                    if not self._put(event):
                        break
            finally:
                close = getattr(events, "close", None)
                if close is not None:
                    close()
        except BaseException as caught:  # raised again on the loop's side
            error = caught
        # The loop is closed when the process is told to end at once; then nobody is left to be told.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._finish, error)

    def _put(self, event: Event) -> bool:
        while not self._slots.acquire(timeout=_POLL_SECONDS):
            if self._cancel.cancelled:
                return False
        if self._cancel.cancelled:
            return False
        self._loop.call_soon_threadsafe(self._items.put_nowait, event)
        return True

    def _finish(self, error: BaseException | None) -> None:
        self._items.put_nowait(_End(error))
        self._ended.set()

    async def events(self) -> AsyncGenerator[Event, None]:
        while True:
            item = await self._items.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            self._slots.release()
            yield item

    async def join(self) -> None:
        """Wait for the thread's last act, also when this task is cancelled meanwhile."""
        interrupted: asyncio.CancelledError | None = None
        while not self._ended.is_set():
            try:
                await self._ended.wait()
            except asyncio.CancelledError as error:
                interrupted = error
        if interrupted is not None:
            raise interrupted


@asynccontextmanager
async def open_events(
    transcriber: Transcriber, source: Source, options: TranscribeOptions, cancel: CancelToken | None = None
) -> AsyncIterator[AsyncIterator[Event]]:
    """Run the transcription on a thread and iterate its events.

    Leaving the context, for whatever reason, cancels the work and returns when its thread is done with
    ``source``, which may then be closed.

    Raises:
        ScribaError: from the iteration, as ``Transcriber.run`` raises it.
    """
    token = cancel if cancel is not None else CancelToken()
    bridge = _Bridge(token)
    worker = threading.Thread(
        target=bridge.pump,
        args=(lambda: transcriber.run(source, options, token),),
        name="scriba-transcribe",
        # Awaited by every orderly end; a forced one must not hang on a native call.
        daemon=True,
    )
    worker.start()
    events = bridge.events()
    try:
        yield events
    finally:
        token.cancel()
        await events.aclose()
        await bridge.join()


async def transcribe(
    transcriber: Transcriber, source: Source, options: TranscribeOptions, cancel: CancelToken | None = None
) -> Transcript:
    """The whole transcript at once.

    Raises:
        ScribaError: as ``Transcriber.run`` raises it.
    """
    async with open_events(transcriber, source, options, cancel) as events:
        async for event in events:
            if isinstance(event, Finished):
                return event.transcript
    raise EngineError("The transcription ended without a result.")
