"""One connection: a stream and a file may be on their way at once, each answered in its own time."""

from __future__ import annotations

import asyncio
import io
import time
from dataclasses import replace

import structlog
from starlette.websockets import WebSocket

from scriba.domain.errors import CancelledByUserError, ScribaError
from scriba.domain.options import LanguagePolicy, TranscribeOptions
from scriba.doors import sockets
from scriba.doors.context import DoorContext
from scriba.doors.json_socket import wire
from scriba.live.events import LanguageHeard, Settled
from scriba.live.forms import parse_form
from scriba.live.numbered import Failed
from scriba.live.options import LiveOptions
from scriba.live.outbox import Outbox
from scriba.live.service import LiveService
from scriba.live.session import LiveSession
from scriba.transcribe.aio import transcribe

log = structlog.get_logger(__name__)

_MOST_FILES = 2
"""Files of one connection that are worked on at once; the next message is read when there is room."""
_FAILED = "The server failed; its log has the cause."


class JsonConnection:
    """Reads messages in order; what takes long is done beside the reading."""

    def __init__(self, socket: WebSocket, context: DoorContext, live: LiveService, most_bytes: int) -> None:
        self._socket = socket
        self._context = context
        self._live = live
        self._most_bytes = most_bytes
        self._stream: _Stream | None = None
        self._files: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        await self._socket.accept()
        try:
            await sockets.first_of(self._read(), self._watch_stop())
        except sockets.TooBigError:
            await sockets.close(
                self._socket, sockets.TOO_BIG, f"A message may have {self._most_bytes} bytes."
            )
        finally:
            for task in self._files:
                task.cancel()
            await asyncio.gather(*self._files, return_exceptions=True)
            if self._stream is not None:
                self._stream.abandon()

    async def _watch_stop(self) -> None:
        await self._context.stopping.wait()
        await sockets.close(self._socket, sockets.RESTART, "The server is shutting down.")

    async def _read(self) -> None:
        async for message in sockets.messages(self._socket, self._most_bytes):
            try:
                await self._obey(await asyncio.to_thread(wire.parse, message))
            except ScribaError as error:
                await self._error(error.message)
            except Exception:
                log.exception("json socket failed")
                await self._error(_FAILED)

    async def _obey(self, message: wire.Chunk | wire.Stop | wire.File) -> None:
        match message:
            case wire.Chunk(audio, language):
                await (await self._open_stream(language)).append(audio)
            case wire.Stop():
                stream, self._stream = self._stream, None
                if stream is None:
                    await sockets.send(self._socket, wire.final_message("", None))
                else:
                    await stream.finish()
            case wire.File(audio, language):
                # Beside the reading: a stream on the same connection goes on meanwhile.
                options = self._file_options(language)
                while len(self._files) >= _MOST_FILES:
                    await asyncio.wait(self._files, return_when=asyncio.FIRST_COMPLETED)
                task = asyncio.create_task(self._transcribe(audio, options))
                self._files.add(task)
                task.add_done_callback(self._files.discard)

    async def _open_stream(self, language: str | None) -> _Stream:
        """The stream of this language; another language begins another, after what came before is told."""
        policy = LanguagePolicy.parse(language)
        if policy.language is None:
            policy = self._context.defaults.language
        if self._stream is not None and language is not None and self._stream.policy != policy:
            await self._stream.switch(self._live, self._options(policy), policy)
        if self._stream is None:
            stream = _Stream(self._socket, policy)
            await stream.open(self._live, self._options(policy))
            self._stream = stream
        return self._stream

    def _options(self, policy: LanguagePolicy) -> LiveOptions:
        defaults = self._context.defaults
        return LiveOptions(language=policy, beam_size=defaults.decoding.beam_size, guards=defaults.guards)

    def _file_options(self, language: str | None) -> TranscribeOptions:
        policy = LanguagePolicy.parse(language)
        if policy.language is None:
            return self._context.defaults
        return replace(self._context.defaults, language=policy)

    async def _transcribe(self, audio: bytes, options: TranscribeOptions) -> None:
        begun = time.perf_counter()
        try:
            with self._context.admission.place() as place:
                await place.start()
                transcript = await transcribe(self._context.transcriber, io.BytesIO(audio), options)
        except CancelledByUserError:
            return
        except ScribaError as error:
            await self._error(error.message)
        except Exception:
            log.exception("json socket failed")
            await self._error(_FAILED)
        else:
            await sockets.send(self._socket, wire.file_message(transcript, time.perf_counter() - begun))

    async def _error(self, message: str) -> None:
        await sockets.send(self._socket, wire.error_message(message))


class _Stream:
    """A live session and what was told of it."""

    def __init__(self, socket: WebSocket, policy: LanguagePolicy) -> None:
        self._socket = socket
        self.policy = policy
        self._text: list[str] = []
        self._language = policy.language
        self._told_to = 0.0
        self._session: LiveSession | None = None
        self._writer: asyncio.Task[None] | None = None

    async def open(self, live: LiveService, options: LiveOptions) -> None:
        self._session = await live.open(options, parse_form("pcm_s16le", wire.STREAM_RATE))
        outbox = self._session.attach()
        self._told_to = 0.0
        self._writer = asyncio.create_task(self._write(outbox))

    async def append(self, audio: bytes) -> None:
        assert self._session is not None  # noqa: S101
        await self._session.audio(audio)

    async def switch(self, live: LiveService, options: LiveOptions, policy: LanguagePolicy) -> None:
        """Another language from here on."""
        await self._end()
        self.policy, self._language = policy, policy.language
        await self.open(live, options)

    async def finish(self) -> None:
        await self._end()
        text = "".join(self._text).strip()
        await sockets.send(self._socket, wire.final_message(text, self._language))

    def abandon(self) -> None:
        """The client is gone."""
        if self._session is not None:
            self._session.finish()
        if self._writer is not None:
            self._writer.cancel()

    async def _end(self) -> None:
        if self._session is None or self._writer is None:
            return
        self._session.finish()
        await self._writer
        self._session = None

    async def _write(self, outbox: Outbox) -> None:
        while (items := await outbox.get()) is not None:
            for numbered in items:
                match numbered.event:
                    case LanguageHeard(language, _):
                        self._language = language
                    case Settled(words, language):
                        text = "".join(word.text for word in words)
                        duration, self._told_to = words[-1].end - self._told_to, words[-1].end
                        self._text.append(text)
                        await sockets.send(
                            self._socket, wire.transcript_message(text.strip(), language, duration)
                        )
                    case Failed(_, message):
                        await sockets.send(self._socket, wire.error_message(message))
                    case _:
                        pass
