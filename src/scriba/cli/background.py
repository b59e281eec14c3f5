"""Running a transcription so that Ctrl-C is answered at once."""

from __future__ import annotations

import queue
import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from types import FrameType

from scriba.domain.cancel import CancelToken
from scriba.domain.events import Event
from scriba.domain.options import TranscribeOptions
from scriba.transcribe.port import Source, Transcriber

_AHEAD = 64
"""Events the work may be ahead of their use."""
_STOP_SECONDS = 5.0
"""How long cancelled work is waited for."""


def events(transcriber: Transcriber, source: Source, options: TranscribeOptions) -> Generator[Event]:
    """The events of one transcription that runs on a thread of its own.

    The main thread only waits, so a signal reaches it while the engine computes. Closing the generator,
    by an interruption or otherwise, cancels the work and waits a few seconds for its end.

    Raises:
        ScribaError: whatever the transcription raises.
    """
    cancel = CancelToken()
    ready: queue.Queue[Event | BaseException | None] = queue.Queue(maxsize=_AHEAD)

    def put(item: Event | BaseException | None) -> None:
        while not cancel.cancelled:
            with suppress(queue.Full):
                ready.put(item, timeout=0.1)
                return

    def work() -> None:
        try:
            for event in transcriber.run(source, options, cancel):
                put(event)
        except BaseException as error:
            put(error)
        else:
            put(None)

    thread = threading.Thread(target=work, name="transcribe", daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        cancel.cancel()
        thread.join(_STOP_SECONDS)


class TerminatedError(KeyboardInterrupt):
    """The system asked the process to end (SIGTERM)."""


@contextmanager
def ending_cleanly() -> Generator[None]:
    """Treat SIGTERM as Ctrl-C, so that temporary files and progress bars are cleared away."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise TerminatedError

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
