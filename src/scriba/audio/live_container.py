"""A container that is still being written (a browser's recorder with timeslice), decoded as it comes.

FFmpeg pulls, and the bytes are pushed; so each stream has a thread of its own on which FFmpeg waits for more.
``push`` returns when it has taken in everything, so that what comes out depends on the bytes alone.
"""

from __future__ import annotations

import threading
from contextlib import suppress

import av
import numpy as np
from av.audio.frame import AudioFrame
from numpy.typing import NDArray

from scriba.audio.container import choose_audio, open_live_container
from scriba.audio.layouts import refuse_custom_layouts
from scriba.audio.samples import Converter, FrameKind, frame_kind
from scriba.domain.errors import EngineError, MediaTooLargeError, ScribaError, UnsupportedMediaError
from scriba.domain.media import SAMPLE_RATE

_DECODE_ERRORS = (
    av.FFmpegError,
    ValueError,
    OverflowError,
    ArithmeticError,
    LookupError,
    NotImplementedError,
)
_MOST_FAILURES = 50
_STUCK_SECONDS = 30.0
_MOST_SECONDS_A_PUSH = 600.0
"""Decoded audio that one message may hold: a few megabytes of silence in opus are hours."""


class _Pipe:
    """Bytes on their way to FFmpeg. ``read`` waits for some; it is called on the decoder's thread."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._data = bytearray()
        self._ended = False
        self._waiting = False

    def read(self, size: int = -1) -> bytes:
        with self._condition:
            while not self._data and not self._ended:
                self._waiting = True
                self._condition.notify_all()
                self._condition.wait()
            self._waiting = False
            count = len(self._data) if size < 0 else min(size, len(self._data))
            data = bytes(self._data[:count])
            del self._data[:count]
            return data

    def write(self, data: bytes) -> None:
        with self._condition:
            self._data += data
            self._waiting = False
            self._condition.notify_all()

    def end(self) -> None:
        with self._condition:
            self._ended = True
            self._waiting = False
            self._condition.notify_all()

    def wake(self) -> None:
        with self._condition:
            self._condition.notify_all()

    def wait_taken(self, done: threading.Event) -> None:
        """Until the decoder wants more than there is, or has ended."""
        with self._condition:
            if not self._condition.wait_for(lambda: self._waiting or done.is_set(), _STUCK_SECONDS):
                raise EngineError("The audio could not be decoded in time.")


class LiveContainer:
    """One container stream. Not for two threads at once; ``close`` ends its thread."""

    def __init__(self) -> None:
        self._pipe = _Pipe()
        self._blocks: list[NDArray[np.float32]] = []
        self._seconds = 0.0
        self._error: ScribaError | None = None
        self._done = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._decode, name="scriba-live-media", daemon=True)
        self._thread.start()

    def push(self, data: bytes) -> NDArray[np.float32]:
        """Bytes in; the 16 kHz mono audio that they complete out.

        Raises:
            UnsupportedMediaError: they are no media that can be decoded.
            MediaTooLargeError: they hold more audio than one message may.
        """
        if not self._done.is_set():
            self._seconds = 0.0
            self._pipe.write(data)
            self._pipe.wait_taken(self._done)
        return self._collect()

    def finish(self) -> NDArray[np.float32]:
        """The stream has ended: what is left."""
        self._pipe.end()
        if not self._done.wait(_STUCK_SECONDS):
            raise EngineError("The audio could not be decoded in time.")
        return self._collect()

    def close(self) -> None:
        self._closed = True
        self._pipe.end()
        self._thread.join(_STUCK_SECONDS)

    def _collect(self) -> NDArray[np.float32]:
        blocks, self._blocks = self._blocks, []
        if self._error is not None and not blocks:
            raise self._error
        return np.concatenate(blocks) if blocks else np.zeros(0, np.float32)

    def _decode(self) -> None:
        try:
            self._run()
        except ScribaError as error:
            if not self._closed:
                self._error = error
        except Exception:  # what FFmpeg makes of hostile bytes must not end the thread unseen
            self._error = UnsupportedMediaError("The audio stream is corrupt.", field="audio")
        finally:
            self._done.set()
            self._pipe.wake()

    def _run(self) -> None:
        container = open_live_container(self._pipe)
        try:
            stream = choose_audio(container)
            converter: Converter | None = None
            kind: FrameKind | None = None
            failures = 0
            for packet in container.demux(stream):
                if self._closed:
                    return
                try:
                    frames = stream.codec_context.decode(packet)
                except _DECODE_ERRORS as error:
                    failures += 1
                    if failures > _MOST_FAILURES:
                        raise UnsupportedMediaError("The audio stream is corrupt.", field="audio") from error
                    continue
                refuse_custom_layouts(frames)
                for frame in frames:
                    if frame.samples <= 0:
                        continue
                    if converter is None or frame_kind(frame) != kind:
                        if converter is not None:
                            self._add(converter.finish())
                        converter, kind = Converter(frame), frame_kind(frame)
                    self._add(_converted(converter, frame))
            if converter is not None:
                self._add(converter.finish())
        finally:
            with suppress(Exception):
                container.close()

    def _add(self, samples: NDArray[np.float32]) -> None:
        self._seconds += len(samples) / SAMPLE_RATE
        if self._seconds > _MOST_SECONDS_A_PUSH:
            raise MediaTooLargeError(
                f"One message holds more than the {_MOST_SECONDS_A_PUSH:g} seconds of audio allowed.",
                field="audio",
            )
        if len(samples):
            self._blocks.append(samples)


def _converted(converter: Converter, frame: AudioFrame) -> NDArray[np.float32]:
    return converter.convert([frame])
