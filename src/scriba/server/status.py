"""Routes about the server itself. None of them waits on inference."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from pydantic import BaseModel

from scriba import __version__
from scriba.engine.scheduler.waits import Load
from scriba.server.readiness import Readiness


class Health(BaseModel):
    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    """``reason`` says what is missing while ``status`` is not ``ready``."""

    status: Literal["ready", "not ready"]
    model: str | None = None
    reason: str | None = None


class Version(BaseModel):
    name: Literal["scriba"] = "scriba"
    version: str = __version__


class ClassLoad(BaseModel):
    """Steps of inference of one class: waiting now, begun since the start, and the seconds that the last
    thousand of those waited for the device."""

    waiting: int
    begun: int
    wait_median: float
    wait_p95: float


def status_router(
    readiness: Readiness, load: Callable[[], Mapping[str, Load]] | None, *, docs: bool
) -> APIRouter:
    """``/health``, ``/ready``, ``/version``, ``/load`` and ``/``."""
    router = APIRouter(tags=["Server"])

    @router.head("/health", include_in_schema=False)
    @router.get("/health", summary="The process is alive")
    async def health() -> Health:
        return Health()

    @router.head("/ready", include_in_schema=False)
    @router.get(
        "/ready",
        response_model=Ready,
        summary="The default model is loaded",
        responses={503: {"model": Ready, "description": "Not yet, or it cannot be."}},
    )
    async def ready() -> Response:
        if readiness.ready:
            return JSONResponse(Ready(status="ready", model=readiness.model).model_dump())
        body = Ready(status="not ready", reason=readiness.reason)
        return JSONResponse(body.model_dump(), 503, {"retry-after": "2"})

    @router.get("/version", summary="Name and version")
    async def version() -> Version:
        return Version()

    if load is not None:

        @router.get("/load", summary="What waits for the device, and how long it waited")
        async def classes() -> dict[str, ClassLoad]:
            return {
                name: ClassLoad(
                    waiting=own.waiting,
                    begun=own.begun,
                    wait_median=round(own.median, 4),
                    wait_p95=round(own.p95, 4),
                )
                for name, own in load().items()
            }

    if docs:

        @router.get("/", include_in_schema=False)
        async def root(request: Request) -> Response:
            return RedirectResponse(request.scope.get("root_path", "") + "/redoc", 307)

    return router
