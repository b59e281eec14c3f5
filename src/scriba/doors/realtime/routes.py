"""Transport of the Realtime API."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.websockets import WebSocket

from scriba.doors.context import DoorContext
from scriba.doors.realtime.connection import RealtimeConnection
from scriba.live.service import LiveService


def realtime_router(context: DoorContext, live: LiveService) -> APIRouter:
    """The door's route."""
    router = APIRouter()

    @router.websocket("/v1/realtime")
    async def connect(socket: WebSocket) -> None:
        await RealtimeConnection(socket, context, live).run()

    return router
