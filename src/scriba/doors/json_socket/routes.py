"""Transport of the interface."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.websockets import WebSocket

from scriba.doors.context import DoorContext
from scriba.doors.json_socket.connection import JsonConnection
from scriba.live.service import LiveService


def json_socket_router(context: DoorContext, live: LiveService, most_bytes: int) -> APIRouter:
    """The door's route. ``most_bytes`` bounds one message."""
    router = APIRouter()

    @router.websocket("/")
    async def connect(socket: WebSocket) -> None:
        await JsonConnection(socket, context, live, most_bytes).run()

    return router
