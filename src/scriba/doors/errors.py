"""The one error table: what every error becomes for a client.

Two shapes: ``{"detail": …}`` (FastAPI's, used by Scriba's own routes) and OpenAI's
``{"error": {"message", "type", "param", "code"}}`` for everything below ``/v1/``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from scriba.domain import errors as domain
from scriba.domain.errors import ScribaError


class MalformedRequestError(ScribaError):
    """The body is not what its headers say, or not what the route takes."""

    code = "malformed_request"


class WrongContentTypeError(ScribaError):
    """The body is not ``multipart/form-data``."""

    code = "unsupported_content_type"


class UploadTimeoutError(ScribaError):
    """The client stopped sending in the middle of its upload."""

    code = "upload_timeout"


class UnauthorisedError(ScribaError):
    """No key, or a wrong one."""

    code = "invalid_api_key"


@dataclass(frozen=True, slots=True)
class Row:
    """``status`` in Scriba's own routes, ``openai_status`` below ``/v1/``; ``openai_type`` is ``error.type``.

    ``permanent``: the same request will fail again, so that a client that retries this status by itself is
    told not to (``x-should-retry``, which OpenAI's SDKs obey).
    """

    status: int
    openai_status: int
    openai_type: str
    permanent: bool = True


_INVALID = "invalid_request_error"
_SERVER = "server_error"

TABLE: dict[type[ScribaError], Row] = {
    domain.InvalidOptionError: Row(422, 400, _INVALID),
    domain.UnsupportedOptionError: Row(422, 400, _INVALID),
    domain.UnknownLanguageError: Row(422, 400, _INVALID),
    domain.LanguageNotServedError: Row(422, 400, _INVALID),
    domain.EmptyMediaError: Row(400, 400, _INVALID),
    domain.UnsupportedMediaError: Row(415, 415, _INVALID),
    domain.MediaTooLargeError: Row(413, 413, _INVALID),
    domain.ModelNotFoundError: Row(404, 404, _INVALID),
    domain.ModelUnavailableError: Row(503, 503, _SERVER),
    domain.SessionNotFoundError: Row(404, 404, _INVALID),
    domain.OverloadedError: Row(503, 503, _SERVER, permanent=False),
    domain.EngineError: Row(500, 500, _SERVER),
    domain.NotFoundError: Row(404, 404, _INVALID),
    domain.ConflictError: Row(409, 409, _INVALID),
    domain.GoneError: Row(410, 410, _INVALID),
    domain.FetchError: Row(422, 400, _INVALID),
    domain.AddressRefusedError: Row(422, 400, _INVALID),
    domain.MediaLostError: Row(410, 410, _INVALID),
    domain.StorageFullError: Row(507, 507, _SERVER),
    domain.StorageUnavailableError: Row(503, 503, _SERVER, permanent=False),
    domain.CancelledByUserError: Row(499, 499, _INVALID),
    MalformedRequestError: Row(400, 400, _INVALID),
    WrongContentTypeError: Row(415, 415, _INVALID),
    UploadTimeoutError: Row(408, 408, _INVALID, permanent=False),
    UnauthorisedError: Row(401, 401, "authentication_error"),
    ScribaError: Row(500, 500, _SERVER),
}

_RETRIED_STATUSES = frozenset({408, 409, 429})


@dataclass(frozen=True, slots=True)
class ErrorReply:
    """An error as it goes out."""

    status: int
    body: dict[str, Any]
    headers: dict[str, str]


def row_of(error: ScribaError) -> Row:
    """The table's row for this error: its own, or that of its nearest base."""
    return next(TABLE[kind] for kind in type(error).__mro__ if kind in TABLE)


def openai_error(error: ScribaError) -> dict[str, Any]:
    """The error's body in OpenAI's shape."""
    return openai_body(error.message, row_of(error).openai_type, param=error.field, code=error.code)


def openai_body(
    message: str, kind: str, *, param: str | None = None, code: str | None = None
) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def detail_error(error: ScribaError) -> dict[str, Any]:
    """The error's body in FastAPI's shape."""
    return {"detail": error.message}


def reply_to(error: ScribaError, *, openai: bool) -> ErrorReply:
    """Status, body and headers for a known error."""
    row = row_of(error)
    status = row.openai_status if openai else row.status
    headers: dict[str, str] = {}
    if isinstance(error, domain.OverloadedError):
        headers["retry-after"] = str(max(1, math.ceil(error.retry_after)))
    if isinstance(error, UnauthorisedError):
        headers["www-authenticate"] = "Bearer"
    if row.permanent and (status >= 500 or status in _RETRIED_STATUSES):
        headers["x-should-retry"] = "false"
    return ErrorReply(status, openai_error(error) if openai else detail_error(error), headers)


def reply_to_unexpected(request_id: str, *, openai: bool) -> ErrorReply:
    """For an error nobody foresaw: the log has it under ``request_id``, the client gets no more than that."""
    message = f"The server failed to answer this request. Its log has the cause under the id {request_id}."
    body = openai_body(message, _SERVER, code="internal_error") if openai else {"detail": message}
    return ErrorReply(500, body, {"x-should-retry": "false"})


def reply_to_status(status: int, message: str, *, openai: bool) -> ErrorReply:
    """For what the web framework itself refuses: an unknown path (404), a wrong method (405)."""
    kind = _INVALID if status < 500 else _SERVER
    body = (
        openai_body(message, kind, code="unknown_url" if status == 404 else None)
        if openai
        else {"detail": message}
    )
    return ErrorReply(status, body, {})
