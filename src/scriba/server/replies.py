"""Errors as responses: the door's own shape by the path that was called."""

from __future__ import annotations

from starlette.responses import JSONResponse
from starlette.types import Scope

from scriba.domain.errors import ScribaError
from scriba.doors.errors import ErrorReply, reply_to, reply_to_status, reply_to_unexpected


def route_path(scope: Scope) -> str:
    """The path below the root path that a proxy put before it."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    if root and (path == root or path.startswith(root + "/")):
        return path[len(root) :] or "/"
    return path


def is_openai(scope: Scope) -> bool:
    """Whether the call is one of OpenAI's, and its errors take OpenAI's shape."""
    path = route_path(scope)
    return path == "/v1" or path.startswith("/v1/")


def error_response(scope: Scope, error: ScribaError) -> JSONResponse:
    return _response(reply_to(error, openai=is_openai(scope)))


def unexpected_response(scope: Scope, request_id: str) -> JSONResponse:
    return _response(reply_to_unexpected(request_id, openai=is_openai(scope)))


def status_response(
    scope: Scope, status: int, message: str, headers: dict[str, str] | None = None
) -> JSONResponse:
    response = _response(reply_to_status(status, message, openai=is_openai(scope)))
    response.headers.update(headers or {})
    return response


def _response(reply: ErrorReply) -> JSONResponse:
    return JSONResponse(reply.body, reply.status, reply.headers)
