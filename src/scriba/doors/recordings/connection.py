"""One connection: recordings are heard one after the other, in the order in which they came."""

from __future__ import annotations

import asyncio
import io
from typing import Protocol

import structlog
from starlette.websockets import WebSocket

from scriba.domain.errors import CancelledByUserError, ScribaError
from scriba.doors import sockets
from scriba.doors.context import DoorContext
from scriba.doors.recordings import wire
from scriba.transcribe.aio import transcribe

log = structlog.get_logger(__name__)

_WAITING = 4
"""Recordings of one connection that wait; beyond it the connection is not read."""


class Limits(Protocol):
    """How many recordings a client may send (adapter: ``scriba.server.recording_limits``)."""

    async def allow(self, client: str) -> bool:
        """Count one, if there is room for it."""
        ...


class RecordingsConnection:
    """Reads recordings, and sends their text to this client alone."""

    def __init__(self, socket: WebSocket, context: DoorContext, limits: Limits, most_bytes: int) -> None:
        self._socket = socket
        self._context = context
        self._limits = limits
        self._most_bytes = most_bytes
        self._work: asyncio.Queue[tuple[str | None, bytes] | None] = asyncio.Queue(_WAITING)
        self._id: str | None = None

    async def run(self) -> None:
        await self._socket.accept()
        try:
            await sockets.first_of(self._read(), self._listen(), self._watch_stop())
        except sockets.TooBigError:
            await sockets.close(
                self._socket, sockets.TOO_BIG, f"A recording may have {self._most_bytes} bytes."
            )

    async def _watch_stop(self) -> None:
        await self._context.stopping.wait()
        await sockets.close(self._socket, sockets.RESTART, "The server is shutting down.")

    async def _read(self) -> None:
        client = self._socket.client.host if self._socket.client is not None else "unknown"
        async for message in sockets.messages(self._socket, self._most_bytes):
            if isinstance(message, str):
                await self._obey(message)
            elif await self._limits.allow(client):
                await self._work.put((self._id, message))
            else:
                await sockets.send_text(self._socket, wire.LIMITED)
                await sockets.close(self._socket, wire.LIMITED_CODE, wire.LIMITED_REASON)
                return

    async def _obey(self, message: str) -> None:
        try:
            id_, stop = wire.parse(message)
        except ValueError as error:
            await sockets.send_text(self._socket, str(error))
            return
        if stop:
            await self._work.put(None)
        elif id_ is not None:
            self._id = id_
            await sockets.send(self._socket, wire.announced(id_))

    async def _listen(self) -> None:
        while True:
            item = await self._work.get()
            if item is None:
                await sockets.send(self._socket, wire.stopped())
                continue
            await self._transcribe(*item)

    async def _transcribe(self, id_: str | None, recording: bytes) -> None:
        await sockets.send(self._socket, wire.begun(id_))
        try:
            with self._context.admission.place() as place:
                await place.start()
                await sockets.send(self._socket, wire.handed_over(id_))
                transcript = await transcribe(
                    self._context.transcriber, io.BytesIO(recording), self._context.defaults
                )
        except CancelledByUserError:
            return
        except ScribaError as error:
            await sockets.send_text(self._socket, error.message)
        except Exception:
            log.exception("recording failed")
            await sockets.send_text(self._socket, "The server failed; its log has the cause.")
        else:
            await sockets.send(self._socket, wire.transcribed(id_, transcript))
