"""Who speaks in a session: its log is read again behind those who write it, beside the recognition of words.

Words wait for nothing here: what is read is on the disk already, and each window is one step of a lower class
than theirs. A session that is taken up again is examined from its beginning.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np
import structlog
from numpy.typing import NDArray

from scriba.audio.live_pcm import PcmFormat
from scriba.domain.cancel import CancelToken
from scriba.domain.errors import CancelledByUserError, OverloadedError
from scriba.domain.media import SAMPLE_RATE
from scriba.domain.speakers import SpeakerOptions, SpeakerTurn
from scriba.domain.transcript import Word
from scriba.engine.scheduler import Priority, Scheduler
from scriba.live.events import LiveEvent, SegmentFinal, Settled
from scriba.live.pace import AT_EASE, Effort
from scriba.live.stream import AudioInput, LiveStream, open_input
from scriba.speakers.live import LiveSpeakers
from scriba.speakers.networks import Networks
from scriba.speakers.voices import examine

T = TypeVar("T")
Audio = NDArray[np.float32]
log = structlog.get_logger(__name__)

_CONTAINER_BYTES = 8_192
"""Of a container read at once: a few seconds of sound."""
_RETRY_SECONDS = 0.2
_BEHIND, _FAR_BEHIND = 3.0, 60.0
_HOPS = (1.0, 2.0, 4.0)
"""Seconds from window to window: at ease; behind by the first of these times, or the machine is busy; behind
by the second, as after a restart. Windows of 10 s overlap at each."""


class LoggedSound:
    """The audio of a log as 16 kHz mono sound. Blocking; not for two threads at once.

    Args:
        path: of the bytes as they came.
        form: None for a container.
    """

    def __init__(self, path: Path, form: PcmFormat | None) -> None:
        self._path = path
        self._form = form
        self._input: AudioInput | None = None
        self._file: BinaryIO | None = None
        self._most = _CONTAINER_BYTES if form is None else form.bytes_per_second
        self._least = 1 if form is None else self._most
        self._position = 0
        self.ended = False

    def read(self, received: int, *, finished: bool) -> Audio | None:
        """The next piece, or None while there is not enough for one. ``received`` bytes are in the log;
        ``finished``: no more will come."""
        there = min(received - self._position, self._most)
        if there < self._least and not finished:
            return None
        if self._input is None:
            self._input = open_input(self._form)
        if there <= 0:
            self.ended = True
            return self._input.finish()
        if self._file is None:
            self._file = self._path.open("rb")
        data = self._file.read(there)
        if not data:
            raise OSError(f"The log of a live session has {self._position} bytes of audio, not {received}.")
        self._position += len(data)
        return self._input.push(data)

    def close(self) -> None:
        if self._input is not None:
            self._input.close()
        if self._file is not None:
            self._file.close()


class SessionSpeakers:
    """One session's. ``run`` is a task of the session's event loop."""

    def __init__(
        self,
        options: SpeakerOptions,
        networks: Networks,
        scheduler: Scheduler,
        audio: Path,
        form: PcmFormat | None,
        executor: Executor,
    ) -> None:
        self._speakers = LiveSpeakers(options)
        self._networks = networks
        self._scheduler = scheduler
        self._sound = LoggedSound(audio, form)
        self._executor = executor
        self._news = asyncio.Event()

    @property
    def examined(self) -> float:
        """Seconds of the session up to which it is known who speaks."""
        return self._speakers.examined

    def label(self, event: LiveEvent) -> LiveEvent:
        """Put in who says the words, as far as is known at this moment. On any thread."""
        match event:
            case Settled(words, language):
                return Settled(self._speakers.told(words), language)
            case SegmentFinal(segment):
                told = self._speakers.told(segment.words or ())
                return SegmentFinal(replace(segment, words=told, speaker=_most(told)))
            case _:
                return event

    def wake(self) -> None:
        """There is more in the log, or an end of it."""
        self._news.set()

    async def run(
        self, stream: LiveStream, effort: Callable[[], Effort] | None, cancel: CancelToken
    ) -> list[SpeakerTurn] | None:
        """All turns, once the stream has finished and all of it was examined.

        None where it was cancelled, or failed: the words are worth having without.

        Args:
            effort: what the machine has room for; None: no window is left out, however full it is.
        """
        try:
            return await self._run(stream, effort, cancel)
        except CancelledByUserError:
            return None
        except Exception:
            log.exception("speakers of a live session cannot be told apart")
            return None
        finally:
            await self._in_thread(self._sound.close)

    async def _run(
        self, stream: LiveStream, effort: Callable[[], Effort] | None, cancel: CancelToken
    ) -> list[SpeakerTurn]:
        while not self._sound.ended:
            cancel.check()
            self._news.clear()
            # Asked in this order: behind the finish no more bytes come.
            finished = stream.finished
            received = stream.received
            due = await self._in_thread(partial(self._read, received, finished))
            if due is None:
                await self._news.wait()
                continue
            for sample, audio in due:
                ahead = (sample + len(audio)) / SAMPLE_RATE - self._speakers.examined
                behind = stream.seconds - self._speakers.seconds
                if effort is None or ahead >= _hop(effort(), behind):
                    await self._examine(sample, audio, cancel)
        rest = self._speakers.rest()
        if rest is not None:
            await self._examine(*rest, cancel)
        # Of hours of sound this takes seconds: not on the threads that sessions share.
        return await asyncio.to_thread(self._speakers.finish, cancel)

    def _read(self, received: int, finished: bool) -> Sequence[tuple[int, Audio]] | None:
        piece = self._sound.read(received, finished=finished)
        return None if piece is None else self._speakers.push(piece)

    async def _examine(self, sample: int, audio: Audio, cancel: CancelToken) -> None:
        work = partial(examine, self._networks, sample, audio)
        while True:
            cancel.check()
            try:
                step = self._scheduler.call(work, priority=Priority.INTERACTIVE, cancel=cancel)
                window = await asyncio.wrap_future(step)
                break
            except OverloadedError:
                await asyncio.sleep(_RETRY_SECONDS)
        await self._in_thread(partial(self._speakers.take, window, len(audio)))

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)


def _hop(effort: Effort, behind: float) -> float:
    if behind > _FAR_BEHIND:
        return _HOPS[2]
    return _HOPS[1] if behind > _BEHIND or effort != AT_EASE else _HOPS[0]


def _most(words: Sequence[Word]) -> str | None:
    """Who says most of the words, in time."""
    shares: dict[str, float] = {}
    for word in words:
        if word.speaker is not None:
            shares[word.speaker] = shares.get(word.speaker, 0.0) + max(word.end - word.start, 1e-3)
    return max(shares, key=lambda name: shares[name]) if shares else None
