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
KEY_PROTOCOL = "openai-insecure-api-key."
"""What a browser's WebSocket puts before its key, as one of its subprotocols."""


class ApiKeyMiddleware:
    """Wants ``Authorization: Bearer <key>`` on every path but the open ones."""

    def __init__(self, app: ASGIApp, keys: Sequence[str]) -> None:
        self._app = app
        # Hashes have one length, so that a comparison tells nothing of a key's.
        self._keys = [_digest(key) for key in keys]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        socket = scope["type"] == "websocket"
        if (
            scope["type"] not in ("http", "websocket")
            or (_is_open(scope) and not socket)
            or self._known(scope)
        ):
            await self._app(scope, receive, send)
            return
        error = UnauthorisedError("A valid API key is wanted, sent as: Authorization: Bearer <key>.")
        # Of a WebSocket that is not accepted the server makes an ordinary HTTP answer.
        await error_response(scope, error)(scope, receive, send)

    def _known(self, scope: Scope) -> bool:
        key = _key_of(scope)
        if key is None:
            return False
        sent = _digest(key)
        found = False
        for known in self._keys:  # all of them, whichever fits
            found |= hmac.compare_digest(sent, known)
        return found


def _key_of(scope: Scope) -> str | None:
    headers = Headers(scope=scope)
    scheme, _, key = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return key.strip()
    if scope["type"] == "websocket":
        # A page cannot set headers of a WebSocket: OpenAI's clients send the key as a subprotocol.
        for protocol in headers.get("sec-websocket-protocol", "").split(","):
            if protocol.strip().startswith(KEY_PROTOCOL):
                return protocol.strip().removeprefix(KEY_PROTOCOL)
    return None


def _is_open(scope: Scope) -> bool:
    path = route_path(scope)
    return path in OPEN_PATHS or path.startswith(OPEN_PREFIXES)


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
