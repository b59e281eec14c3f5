"""The outermost layer of every request: its id, its line in the log, and what nobody foresaw.

Pure ASGI, so that streams pass through it unbuffered and a hang-up reaches the work.
"""

from __future__ import annotations

import re
import time
import uuid
from typing import Any

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from scriba.doors.context import facts_of
from scriba.server.replies import unexpected_response

_GOOD_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_QUIET_PATHS = frozenset({"/health", "/ready"})
"""Asked for every few seconds by whoever watches the server."""

log = structlog.get_logger("scriba.requests")


class RequestLogMiddleware:
    """Gives the request an id (the client's own when it is harmless), and logs one line when it has ended.

    The line has neither what was said, nor a file's name, nor a query, nor a key.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        begun = time.perf_counter()
        status: int | None = None
        facts_of(scope)  # set here, so that every layer below, and this one, see the same

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["x-request-id"] = request_id
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, send_with_id)
            except Exception:
                log.exception("unexpected error")
                if status is not None:
                    raise  # the answer has begun; all that is left is to break the connection off
                await unexpected_response(scope, request_id)(scope, receive, send_with_id)
            finally:
                _log_line(scope, status, time.perf_counter() - begun)


def _request_id(scope: Scope) -> str:
    sent = Headers(scope=scope).get("x-request-id", "")
    return sent if _GOOD_ID.fullmatch(sent) else uuid.uuid4().hex


def _log_line(scope: Scope, status: int | None, seconds: float) -> None:
    facts = facts_of(scope)
    line: dict[str, Any] = {
        "method": scope["method"],
        "path": _template(scope),
        "status": status,
        "ms": round(seconds * 1000, 1),
    }
    if facts.hung_up:
        line["hung_up"] = True
    if facts.upload_bytes is not None:
        line["upload_bytes"] = facts.upload_bytes
    if facts.audio_seconds is not None:
        line["audio_seconds"] = round(facts.audio_seconds, 2)
        line["real_time_factor"] = round(seconds / facts.audio_seconds, 4) if facts.audio_seconds else None
    if line["path"] in _QUIET_PATHS:
        log.debug("request", **line)
    else:
        log.info("request", **line)


def _template(scope: Scope) -> str:
    """The route's path with its parameters' names; a path that is no route is not repeated."""
    route = scope.get("route")
    return str(getattr(route, "path", "")) or "(no route)"
