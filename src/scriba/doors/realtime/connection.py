"""One Realtime connection."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import structlog
from starlette.websockets import WebSocket

from scriba.domain.errors import InvalidOptionError, ScribaError
from scriba.doors import sockets
from scriba.doors.context import DoorContext
from scriba.doors.errors import row_of
from scriba.doors.realtime import wire
from scriba.doors.realtime.configuration import Configuration
from scriba.doors.realtime.items import Items, event
from scriba.live.forms import parse_form, samples_only
from scriba.live.outbox import Outbox
from scriba.live.service import LiveService
from scriba.live.session import LiveSession

log = structlog.get_logger(__name__)

_MOST_MESSAGE_BYTES = wire.MOST_AUDIO_BYTES * 4 // 3 + 4096
_LEAST_COMMIT_SECONDS = 0.1


class RealtimeConnection:
    """Begins a live session with the first sound, so that it may be configured before."""

    def __init__(self, socket: WebSocket, context: DoorContext, live: LiveService) -> None:
        self._socket = socket
        self._context = context
        self._live = live
        self._id = f"sess_{secrets.token_hex(12)}"
        self._configuration = Configuration()
        self._session: LiveSession | None = None
        self._outbox: Outbox | None = None
        self._items: Items | None = None
        self._writer: asyncio.Task[None] | None = None
        self._uncommitted = 0
        self._heard = 0
        self._previous: str | None = None

    async def run(self) -> None:
        protocols = self._socket.scope.get("subprotocols") or []
        await self._socket.accept("realtime" if "realtime" in protocols else None)
        model = self._socket.query_params.get("model")
        if model and self._socket.query_params.get("intent") == "transcription":
            own = wire.Transcription(model=model)
            self._configuration = Configuration(transcription=own)
        await self._send(event("session.created", session=self._configuration.shown(self._id)))
        try:
            await sockets.first_of(self._read(), self._watch_stop())
        except sockets.TooBigError:
            await sockets.close(
                self._socket, sockets.TOO_BIG, f"A message may have {_MOST_MESSAGE_BYTES} bytes."
            )
        finally:
            await self._end()

    async def _watch_stop(self) -> None:
        await self._context.stopping.wait()
        await sockets.close(self._socket, sockets.RESTART, "The server is shutting down.")

    async def _read(self) -> None:
        async for message in sockets.messages(self._socket, _MOST_MESSAGE_BYTES):
            try:
                await self._obey(wire.parse(message))
            except ScribaError as error:
                await self._send(_error(error, wire.event_id_of(message)))

    async def _obey(self, message: wire.ClientMessage) -> None:
        match message:
            case wire.SessionUpdate():
                changed = self._configuration.updated(message.session)
                if changed != self._configuration:
                    await self._end()  # what comes now is heard in another way
                self._configuration = changed
                await self._send(event("session.updated", session=changed.shown(self._id)))
            case wire.Append():
                await self._append(message.samples())
            case wire.Commit():
                self._commit_bounds()
                session, items = self._require_session()
                self._uncommitted = 0
                for own in items.commit():
                    await self._send(own)
                session.flush()
            case wire.Clear():
                if self._configuration.turn_detection is not None or self._session is None:
                    await self._send(event("input_audio_buffer.cleared"))
                    return
                self._uncommitted = 0
                for own in self._require_session()[1].clear():
                    await self._send(own)
                self._session.flush()

    def _commit_bounds(self) -> None:
        if self._configuration.turn_detection is not None:
            raise InvalidOptionError(
                "With turn detection the server commits: set turn_detection to null to commit yourself.",
                field="type",
            )
        seconds = self._seconds(self._uncommitted)
        if seconds < _LEAST_COMMIT_SECONDS:
            raise InvalidOptionError(
                f"The buffer is too small to commit: it has {seconds * 1000:.0f} ms of audio, and at least "
                f"{_LEAST_COMMIT_SECONDS * 1000:.0f} ms are needed.",
                field="input_audio_buffer",
            )

    async def _append(self, data: bytes) -> None:
        encoding, rate = self._configuration.encoding
        form = parse_form(encoding, rate)
        if form is not None:
            samples_only(form, data)
        if self._session is None:
            options = self._configuration.options(self._context.defaults)
            self._session = await self._live.open(options, form)
            self._outbox = self._session.attach()
            self._items = Items(
                detects_turns=self._configuration.turn_detection is not None,
                logprobs=self._configuration.logprobs,
                previous=self._previous,
                idle_seconds=self._configuration.idle_seconds,
            )
            self._heard = 0
            self._writer = asyncio.create_task(self._write(self._outbox, self._items))
        self._uncommitted += len(data)
        await self._session.audio(data)
        self._heard += len(data)
        if self._items is not None:
            for own in self._items.silence(self._seconds(self._heard)):
                await self._send(own)

    def _seconds(self, count: int) -> float:
        encoding, rate = self._configuration.encoding
        return count / (rate * (2 if encoding == "pcm_s16le" else 1))

    def _require_session(self) -> tuple[LiveSession, Items]:
        if self._session is None or self._items is None:
            raise InvalidOptionError("There is no audio yet.", field="input_audio_buffer")
        return self._session, self._items

    async def _write(self, outbox: Outbox, items: Items) -> None:
        while (waiting := await outbox.get()) is not None:
            for numbered in waiting:
                for own in items.translate(numbered.event):
                    await self._send(own)

    async def _end(self) -> None:
        """Hear the session to its end, and send what comes of it as far as the client is there."""
        session, self._session = self._session, None
        if session is None:
            return
        session.finish()
        if self._context.stopping.is_set():
            if self._writer is not None:
                self._writer.cancel()
        elif self._writer is not None:
            await self._writer
        if self._outbox is not None:
            session.detach(self._outbox)
        if self._items is not None:
            self._previous = self._items.previous
        self._uncommitted = 0

    async def _send(self, body: dict[str, Any]) -> None:
        await sockets.send(self._socket, body)


def _error(error: ScribaError, event_id: str | None) -> dict[str, Any]:
    return event(
        "error",
        error={
            "type": row_of(error).openai_type,
            "code": error.code,
            "message": error.message,
            "param": error.field,
            "event_id": event_id,
        },
    )
