"""What the WebSocket doors share: messages in and out, and the end of a connection."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable
from contextlib import suppress
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

NORMAL, GOING_AWAY, TOO_BIG, INTERNAL, RESTART, TRY_LATER = 1000, 1001, 1009, 1011, 1012, 1013


class TooBigError(Exception):
    """A message over the door's limit: the connection is closed with 1009."""


async def receive(socket: WebSocket, most_bytes: int | None = None) -> str | bytes:
    """The next message.

    Raises:
        WebSocketDisconnect: the client is gone.
        TooBigError: the message is larger than ``most_bytes``.
    """
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1006), message.get("reason"))
    text, data = message.get("text"), message.get("bytes")
    content: str | bytes = text if text is not None else (data or b"")
    if most_bytes is not None and len(content) > most_bytes:
        raise TooBigError
    return content


async def messages(socket: WebSocket, most_bytes: int | None = None) -> AsyncIterator[str | bytes]:
    """Every message until the client is gone.

    Raises:
        TooBigError: as ``receive``.
    """
    while True:
        try:
            message = await receive(socket, most_bytes)
        except WebSocketDisconnect:
            return
        yield message


async def send(socket: WebSocket, body: dict[str, Any]) -> None:
    """One JSON message. A client that is gone is no error: reading tells."""
    await send_text(socket, json.dumps(body, ensure_ascii=False, separators=(",", ":")))


async def send_text(socket: WebSocket, text: str) -> None:
    if socket.application_state is WebSocketState.CONNECTED:
        with suppress(WebSocketDisconnect, RuntimeError):
            await socket.send_text(text)


async def close(socket: WebSocket, code: int = NORMAL, reason: str = "") -> None:
    """Close it, if it still is open. A reason is at most 123 bytes."""
    if socket.application_state is not WebSocketState.DISCONNECTED:
        with suppress(WebSocketDisconnect, RuntimeError):
            await socket.close(code, reason.encode()[:120].decode(errors="ignore"))


async def first_of(*works: Awaitable[Any]) -> None:
    """Run them side by side until one ends; the others are cancelled, and what failed is raised."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
