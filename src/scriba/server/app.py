"""The application: doors, the layers around them, and its life."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import BinaryIO

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from scriba import __version__
from scriba.domain.cancel import CancelToken
from scriba.domain.errors import InvalidOptionError, ScribaError
from scriba.doors.context import DoorContext, UploadLimits
from scriba.doors.forms import shown
from scriba.doors.jobs.routes import jobs_router
from scriba.doors.json_socket.routes import json_socket_router
from scriba.doors.library.routes import library_router
from scriba.doors.live.routes import live_router
from scriba.doors.one_call.routes import one_call_router
from scriba.doors.openai.routes import openai_router
from scriba.doors.realtime.routes import realtime_router
from scriba.doors.recordings.routes import recordings_router
from scriba.doors.tasks.params import ServerFacts
from scriba.doors.tasks.routes import tasks_router
from scriba.doors.uploads.routes import TUS_HEADERS, uploads_router
from scriba.jobs.fetch import FetchLimits
from scriba.server.admission import Admission
from scriba.server.authentication import ApiKeyMiddleware
from scriba.server.decode_limits import decode_limits
from scriba.server.documentation import STATIC_DIR, documentation_router
from scriba.server.jobs import JobParts
from scriba.server.openapi import describe
from scriba.server.readiness import Readiness, Warm
from scriba.server.recording_limits import recording_limits
from scriba.server.replies import error_response, status_response
from scriba.server.request_log import RequestLogMiddleware
from scriba.server.services import Services
from scriba.server.settings import Settings, StatusCase
from scriba.server.speakers import speaker_devices
from scriba.server.status import status_router
from scriba.transcribe.probe import probe


def create_app(services: Services, settings: Settings | None = None) -> FastAPI:
    """An ASGI application on these services, which it closes when it ends.

    ``app.state.readiness`` says whether the model is loaded; setting ``app.state.stopping`` ends all work.
    """
    settings = settings or services.settings
    settings.spool_dir.mkdir(parents=True, exist_ok=True)
    context = DoorContext(
        transcriber=services.transcriber,
        models=services.models,
        admission=Admission(settings.max_concurrent, settings.max_queued),
        uploads=UploadLimits(settings.max_upload_bytes, settings.upload_idle_seconds, settings.spool_dir),
        defaults=settings.transcribe_options(),
        ping_seconds=settings.ping_seconds,
        separation=services.separation,
    )
    readiness = Readiness(_warm(services))
    limits = recording_limits(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with _jobs_at_work(services.jobs):
            readiness.start()
            if services.live is not None:
                await services.live.start()
            try:
                yield
            finally:
                context.stopping.set()
                if services.live is not None:
                    await services.live.stop()
                await limits.close()
                await readiness.stop()
        await asyncio.to_thread(services.close)

    app = FastAPI(
        title="Scriba",
        version=__version__,
        lifespan=lifespan,
        middleware=_layers(settings),
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json" if settings.docs else None,
        # Clients of the routes that are fixed by others do not follow redirects of an upload.
        redirect_slashes=False,
    )
    app.state.readiness = readiness
    app.state.stopping = context.stopping
    app.include_router(one_call_router(context))
    app.include_router(openai_router(context))
    app.include_router(
        recordings_router(context, limits, settings.app_prefix, settings.max_message_mib << 20)
    )
    if services.live is not None:
        app.include_router(live_router(context, services.live))
        app.include_router(realtime_router(context, services.live))
        app.include_router(json_socket_router(context, services.live, settings.max_message_mib << 20))
    if services.jobs is not None:
        _include_jobs(app, services.jobs, context, settings)
    app.include_router(status_router(readiness, services.load, docs=settings.docs))
    if settings.docs:
        app.include_router(documentation_router())
        app.mount("/static", StaticFiles(directory=STATIC_DIR), name="static")
    if services.jobs is not None:
        # The last: it takes whatever begins with an id.
        app.include_router(library_router(context, services.jobs.service, _probe(settings)))
    app.add_exception_handler(ScribaError, _known_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    describe(app, keys=bool(settings.api_keys))
    return app


def _warm(services: Services) -> Warm:
    """The model is ready, and how much live speech the machine can hear with it is known."""

    def warm(cancel: CancelToken) -> str:
        model = services.warm(cancel)
        if services.live is not None:
            services.live.learn_cost()
        return model

    return warm


@asynccontextmanager
async def _jobs_at_work(jobs: JobParts | None) -> AsyncIterator[None]:
    """Jobs are opened before the first request is taken, and put back into the queue after the last."""
    if jobs is None:
        yield
        return
    await jobs.open()
    stop = asyncio.Event()
    work = asyncio.create_task(jobs.run(stop))
    try:
        yield
    finally:
        stop.set()
        await work
        await jobs.close()


def _include_jobs(app: FastAPI, jobs: JobParts, context: DoorContext, settings: Settings) -> None:
    fetching = FetchLimits(
        max_bytes=settings.max_upload_bytes,
        seconds=settings.fetch_seconds,
        idle_seconds=settings.upload_idle_seconds,
        private=frozenset(settings.private_hosts),
    )
    app.include_router(jobs_router(context, jobs.service, fetching))
    app.include_router(uploads_router(context, jobs.uploads))
    facts = ServerFacts(
        compute_type=settings.compute_type,
        unloads=settings.model_idle_seconds > 0,
        speaker_devices=speaker_devices(settings),
    )
    lower = settings.task_status_case is StatusCase.LOWER
    app.include_router(tasks_router(context, jobs.service, facts, lower=lower))


def _probe(settings: Settings) -> Callable[[BinaryIO], Awaitable[None]]:
    limits = decode_limits(settings)

    async def probe_file(file: BinaryIO) -> None:
        await asyncio.to_thread(probe, file, limits)

    return probe_file


def _layers(settings: Settings) -> list[Middleware]:
    """Outermost first. A browser's preflight has no key, so that CORS goes before authentication."""
    layers = [Middleware(RequestLogMiddleware)]
    if settings.cors_origins:
        layers.append(
            Middleware(
                CORSMiddleware,
                allow_origins=list(settings.cors_origins),
                allow_methods=["GET", "POST", "DELETE", "HEAD", "PATCH"],
                allow_headers=["*"],
                expose_headers=["x-request-id", "retry-after", "location", *TUS_HEADERS],
            )
        )
    if settings.api_keys:
        keys = [key.get_secret_value() for key in settings.api_keys]
        layers.append(Middleware(ApiKeyMiddleware, keys=keys))
    return layers


async def _known_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ScribaError)  # noqa: S101 - registered for this type alone
    return error_response(request.scope, error)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this type alone
    message = error.detail
    if error.status_code == 404 and message == "Not Found":
        message = "There is no such path here."
        if request.app.openapi_url is not None:
            message += " /docs lists those there are."
    elif error.status_code == 405:
        message = f"The method {request.method} is not allowed here."
    return status_response(request.scope, error.status_code, message, dict(error.headers or {}))


async def _validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this type alone
    fault = error.errors()[0]
    field = ".".join(str(part) for part in fault["loc"][1:]) or "body"
    sent = fault.get("input")
    value = f", not {shown(sent)}" if isinstance(sent, str) else ""
    return error_response(request.scope, InvalidOptionError(f"{field}: {fault['msg']}{value}.", field=field))
