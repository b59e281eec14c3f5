"""The OpenAPI document: what the web framework finds out, made to say what the server does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI

from scriba.server.authentication import OPEN_PATHS

_DESCRIPTION = """\
Speech to text on Whisper, on your own machine.

Errors of `/v1/…` are in OpenAI's shape, those of the other routes are `{"detail": …}`. Every answer has the
header `x-request-id`; a full server answers 503 with `Retry-After`.
"""


def describe(app: FastAPI, *, keys: bool) -> None:
    """Give ``app`` its document. With ``keys`` the protected routes say that they want one."""
    app.description = _DESCRIPTION
    generate: Callable[[], dict[str, Any]] = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = generate()
            for path, operations in document["paths"].items():
                for operation in operations.values():
                    # The framework's own error shape, which no route here has.
                    if path.startswith("/v1/"):
                        operation["responses"].pop("422", None)
                    if keys and path not in OPEN_PATHS:
                        operation["security"] = [{"key": []}]
            if keys:
                document.setdefault("components", {})["securitySchemes"] = {
                    "key": {"type": "http", "scheme": "bearer"}
                }
            schemas = document.get("components", {}).get("schemas", {})
            for unused in ("HTTPValidationError", "ValidationError"):
                schemas.pop(unused, None)
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
