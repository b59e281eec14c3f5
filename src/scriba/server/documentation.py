"""The documentation pages, made of files that ship with Scriba: nothing is loaded from elsewhere."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

STATIC_DIR = Path(__file__).parent / "static"

CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'none'",
        "connect-src 'self'",
        "font-src 'self' data:",
        "img-src 'self' data:",
        # Redoc compiles its schema validator in the page, and looks for words in a worker.
        "script-src 'self' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "worker-src 'self' blob:",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ]
)

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Scriba</title>
<link rel="icon" href="{root}/static/favicon.svg" type="image/svg+xml">
<link rel="stylesheet" href="{root}/static/{style}">
</head>
<body>
<div id="page" data-openapi="{root}/openapi.json"></div>
<script src="{root}/static/{library}"></script>
<script src="{root}/static/{start}"></script>
</body>
</html>
"""


def documentation_router() -> APIRouter:
    """``/docs`` (Swagger UI, to try things out) and ``/redoc`` (to read)."""
    router = APIRouter(include_in_schema=False)

    @router.get("/docs")
    async def swagger(request: Request) -> HTMLResponse:
        return _page(request, "swagger-ui.css", "swagger-ui-bundle.js", "swagger-start.js")

    @router.get("/redoc")
    async def redoc(request: Request) -> HTMLResponse:
        return _page(request, "redoc.css", "redoc.standalone.js", "redoc-start.js")

    return router


def _page(request: Request, style: str, library: str, start: str) -> HTMLResponse:
    # The root path comes from the settings, where its form is checked.
    root = request.scope.get("root_path", "")
    page = _PAGE.format(root=root, style=style, library=library, start=start)
    return HTMLResponse(page, headers={"content-security-policy": CONTENT_SECURITY_POLICY})
