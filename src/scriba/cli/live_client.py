"""A client of the live protocol (docs/live.md) that survives its connection: it resumes and sends again."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from scriba.domain.errors import ScribaError

Event = dict[str, Any]
_RETRY_SECONDS = 1.0
_LOST = frozenset({1001, 1006, 1011, 1012, 1013, 4408})
"""Close codes after which the session may be resumed."""


class LiveRefusedError(ScribaError):
    """The server would not begin or go on; the message is its own."""

    code = "live_refused"


class LiveClient:
    """One session. ``tell`` gets every event of the server, each kept one exactly once."""

    def __init__(
        self, url: str, start: dict[str, Any], tell: Callable[[Event], None], *, key: str | None = None
    ) -> None:
        self._url = url
        self._start = {"type": "start", **start}
        self._tell = tell
        self._headers = {"authorization": f"Bearer {key}"} if key else {}
        self._session: str | None = None
        self._seq = 0
        self._base = 0
        """Bytes that are safe at the server; what follows them is kept here."""
        self._unsafe: deque[bytes] = deque()
        self._ended = False
        self._resume_seconds = 60.0

    async def run(self, audio: AsyncIterator[bytes]) -> None:
        """Send all of it; return when everything was heard.

        Raises:
            LiveRefusedError: the server refused, failed, or stayed away for too long.
        """
        chunks: asyncio.Queue[bytes | None] = asyncio.Queue(64)
        feeder = asyncio.create_task(_feed(audio, chunks))
        loop = asyncio.get_running_loop()
        lost_at: float | None = None
        try:
            while True:
                try:
                    async with connect(
                        self._url, additional_headers=self._headers, max_size=None, open_timeout=5
                    ) as socket:
                        await self._open(socket)
                        lost_at = None
                        await self._talk(socket, chunks)
                        return
                except (OSError, TimeoutError, InvalidHandshake) as error:
                    if self._session is None:
                        raise LiveRefusedError(f"The server cannot be reached: {error}.") from error
                except ConnectionClosed as error:
                    code = error.rcvd.code if error.rcvd is not None else 1006
                    if self._session is None or code not in _LOST:
                        reason = error.rcvd.reason if error.rcvd is not None else ""
                        raise LiveRefusedError(reason or f"The connection was closed ({code}).") from error
                lost_at = lost_at if lost_at is not None else loop.time()
                if loop.time() - lost_at > self._resume_seconds:
                    raise LiveRefusedError("The connection to the server was lost.")
                await asyncio.sleep(_RETRY_SECONDS)
        finally:
            feeder.cancel()
            await asyncio.gather(feeder, return_exceptions=True)

    async def _open(self, socket: ClientConnection) -> None:
        hello = json.loads(await socket.recv())
        self._resume_seconds = hello["limits"]["resume_seconds"]
        opening = (
            self._start
            if self._session is None
            else {"type": "resume", "session": self._session, "after": self._seq}
        )
        await socket.send(json.dumps(opening))
        reply = json.loads(await socket.recv())
        if reply["type"] != "started":
            raise LiveRefusedError(str(reply.get("message", reply)))
        self._session = reply["session"]
        self._tell(reply)
        self._forget(reply["received"]["bytes"])
        for chunk in list(self._unsafe):
            await socket.send(chunk)
        if self._ended:
            await socket.send('{"type":"finish"}')

    async def _talk(self, socket: ClientConnection, chunks: asyncio.Queue[bytes | None]) -> None:
        sender = asyncio.create_task(self._send(socket, chunks))
        try:
            while True:
                event = json.loads(await socket.recv())
                self._seq = event.get("seq", self._seq)
                if event["type"] == "ack":
                    self._forget(event["bytes"])
                elif event["type"] in ("error", "failed"):
                    raise LiveRefusedError(event["message"])
                self._tell(event)
                if event["type"] == "finished":
                    return
        finally:
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)

    async def _send(self, socket: ClientConnection, chunks: asyncio.Queue[bytes | None]) -> None:
        with suppress(ConnectionClosed):
            while not self._ended:
                chunk = await chunks.get()
                if chunk is None:
                    self._ended = True
                    await socket.send('{"type":"finish"}')
                    return
                self._unsafe.append(chunk)
                await socket.send(chunk)

    def _forget(self, safe: int) -> None:
        """Bytes that the server has for good need not be kept."""
        while self._unsafe and self._base + len(self._unsafe[0]) <= safe:
            self._base += len(self._unsafe.popleft())
        if self._unsafe and self._base < safe:
            self._unsafe[0] = self._unsafe[0][safe - self._base :]
            self._base = safe


async def _feed(audio: AsyncIterator[bytes], chunks: asyncio.Queue[bytes | None]) -> None:
    async for chunk in audio:
        await chunks.put(chunk)
    await chunks.put(None)
