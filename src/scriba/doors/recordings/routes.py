"""Transport of the interface."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.websockets import WebSocket

from scriba.doors.context import DoorContext
from scriba.doors.recordings.connection import Limits, RecordingsConnection


def recordings_router(context: DoorContext, limits: Limits, prefix: str, most_bytes: int) -> APIRouter:
    """The door's routes, below ``prefix``."""
    router = APIRouter(prefix=prefix)

    @router.websocket("/ws")
    @router.websocket("/ws/transcribe")
    async def connect(socket: WebSocket) -> None:
        await RecordingsConnection(socket, context, limits, most_bytes).run()

    return router
