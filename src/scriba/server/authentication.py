"""Who may call: everyone, or whoever has one of the operator's keys."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from scriba.doors.errors import UnauthorisedError
from scriba.server.replies import error_response, route_path

OPEN_PATHS = frozenset({"/", "/health", "/ready", "/version", "/docs", "/redoc", "/openapi.json"})
OPEN_PREFIXES = ("/static/",)


class ApiKeyMiddleware:
    """Wants ``Authorization: Bearer <key>`` on every path but the open ones."""

    def __init__(self, app: ASGIApp, keys: Sequence[str]) -> None:
        self._app = app
        # Hashes have one length, so that a comparison tells nothing of a key's.
        self._keys = [_digest(key) for key in keys]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _is_open(scope) or self._known(scope):
            await self._app(scope, receive, send)
            return
        error = UnauthorisedError("A valid API key is wanted, sent as: Authorization: Bearer <key>.")
        await error_response(scope, error)(scope, receive, send)

    def _known(self, scope: Scope) -> bool:
        scheme, _, key = Headers(scope=scope).get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return False
        sent = _digest(key.strip())
        found = False
        for known in self._keys:  # all of them, whichever fits
            found |= hmac.compare_digest(sent, known)
        return found


def _is_open(scope: Scope) -> bool:
    path = route_path(scope)
    return path in OPEN_PATHS or path.startswith(OPEN_PREFIXES)


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
