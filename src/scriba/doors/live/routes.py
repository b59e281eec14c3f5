"""Transport of the live protocol."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse, Response
from starlette.websockets import WebSocket

from scriba.doors.context import DoorContext
from scriba.doors.live.connection import LiveConnection
from scriba.doors.openai import wire as openai_wire
from scriba.doors.schema import error_responses
from scriba.formats import Format, RenderOptions, render
from scriba.live.service import LiveService

_ERRORS = error_responses(openai_wire.ErrorReply, 400, 401, 404)


def live_router(context: DoorContext, live: LiveService) -> APIRouter:
    """The door's routes."""
    router = APIRouter(tags=["Live"])

    @router.websocket("/v1/live")
    async def connect(socket: WebSocket) -> None:
        await LiveConnection(socket, context, live).run()

    @router.get(
        "/v1/live/{session}",
        summary="What was said in a live session",
        response_class=Response,
        responses=_ERRORS,
    )
    async def fetch(
        session: str,
        response_format: Annotated[
            str, Query(alias="format", description="json, verbose_json, text, txt, srt, vtt, tsv, lrc, …")
        ] = Format.VERBOSE_JSON.value,
    ) -> Response:
        """The transcript so far, in any format; ``x-session-state`` says whether more is to come."""
        fmt = Format.parse(response_format)
        record = await live.record(session)
        options = RenderOptions(segments=True, words=True)
        body = render(record.transcript, fmt, options=options)
        return Response(
            body,
            media_type=fmt.media_type,
            headers={"x-session-state": record.state.value, "x-session-seq": str(record.seq)},
        )

    @router.delete("/v1/live/{session}", summary="End a live session and forget it", responses=_ERRORS)
    async def delete(session: str) -> JSONResponse:
        """Ends it at once if it runs; audio and text are removed."""
        await live.delete(session)
        return JSONResponse({"id": session, "object": "live.session", "deleted": True})

    return router
