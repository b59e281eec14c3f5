"""Transport of the library interface."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, BinaryIO
from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from scriba.domain.errors import InvalidOptionError, NotFoundError, ScribaError
from scriba.domain.job import Job, JobState
from scriba.domain.media import Media
from scriba.doors.context import DoorContext
from scriba.doors.errors import TABLE, MalformedRequestError
from scriba.doors.forms import boolean, scalar
from scriba.doors.json_body import loads
from scriba.doors.library.video import send
from scriba.doors.library.wire import Detail, Metadata, Results, location, metadata, results_body
from scriba.doors.multipart import receive_form
from scriba.doors.schema import error_responses
from scriba.doors.watch import run_while_wanted
from scriba.formats.kinds import Format
from scriba.formats.render import render
from scriba.jobs.service import JobService, Order

DOOR = "library"
_LARGEST_BODY = 100_000
_LOOK_SECONDS = 0.2
Probe = Callable[[BinaryIO], Awaitable[None]]
"""Raises what is wrong with a recording."""


def library_router(context: DoorContext, jobs: JobService, probe: Probe) -> APIRouter:
    """The door's routes, plain and under ``/api``. To be included last: one of them takes any two-part path
    that begins with an id."""
    router = APIRouter(tags=["Library"])
    door = _Library(context, jobs, probe)
    for prefix in ("", "/api"):
        shown = prefix == ""
        router.add_api_route(
            f"{prefix}/upload",
            door.upload,
            methods=["POST"],
            response_model=Metadata,
            summary="Put a recording into the library",
            include_in_schema=shown,
            responses=error_responses(Detail, 400, 408, 409, 413, 415, 503, 507),
            openapi_extra=_UPLOAD,
        )
        router.add_api_route(
            f"{prefix}/model",
            door.run,
            methods=["POST"],
            response_model=Metadata,
            summary="Transcribe a recording of the library",
            include_in_schema=shown,
            responses=error_responses(Detail, 400, 404, 409, 422, 500, 503),
            openapi_extra=_MODEL,
        )
        router.add_api_route(
            f"{prefix}/uploads",
            door.uploads,
            methods=["GET"],
            summary="Everything in the library, oldest first",
            include_in_schema=shown,
        )
        router.add_api_route(
            f"{prefix}/results/{{media_id}}",
            door.results,
            methods=["GET"],
            summary="What was heard in a recording",
            include_in_schema=shown,
            responses=error_responses(Detail, 404),
        )
    router.add_api_route(
        "/api/srt/{media_id}",
        door.captions,
        methods=["GET"],
        summary="Captions: WebVTT, or SubRip with format=srt",
        response_class=Response,
        responses=error_responses(Detail, 404, 422),
    )
    for path in (
        "/api/video/{media_id:uuid}/{name}",
        "/api/{media_id:uuid}/{name}",
        "/{media_id:uuid}/{name}",
    ):
        router.add_api_route(
            path,
            door.video,
            methods=["GET", "HEAD"],
            summary="The recording itself, in ranges",
            response_class=Response,
            include_in_schema=path.startswith("/api/video"),
            operation_id=f"video_{path.count('/')}",
        )
    return router


class _Library:
    def __init__(self, context: DoorContext, jobs: JobService, probe: Probe) -> None:
        self._context = context
        self._jobs = jobs
        self._probe = probe

    async def upload(self, request: Request) -> Response:
        """Streamed to disk. The same content a second time is answered 409 with the `id` of the first."""
        with self._context.admission.place():
            if "content-type" not in request.headers:
                raise MalformedRequestError("file is missing: send the recording in it.", field="file")
            async with receive_form(request, self._context.uploads) as form:
                if form.file is None:
                    raise MalformedRequestError("file is missing: send the recording in it.", field="file")
                file = form.require_file()
                await self._probe(file)
                media, _ = await self._jobs.keep(file, form.file_name)
                name = form.file_name
        if not await self._jobs.media.list_in_library(media.id, name):
            return JSONResponse({"detail": "This file was uploaded before.", "id": media.id}, 409)
        return JSONResponse(_shown(await self._jobs.media.get(media.id), None))

    async def run(self, request: Request) -> Response:
        """Answers when it has run; with `?wait=false`, or `Prefer: respond-async`, at once."""
        waits = _waits(request)
        media = await self._named(await _body(request, self._context))
        job, _ = await self._jobs.submit(Order(DOOR, media.id, self._context.defaults, alone=True))
        if not waits:
            return JSONResponse(_shown(media, job), 202, {"preference-applied": "respond-async"})
        # The work goes on when the client does not wait for it: it is in the table.
        job = await run_while_wanted(request.receive, self._context.stopping, self._ended(job))
        if job.state is not JobState.COMPLETED:
            return _failure(job)
        return JSONResponse(_shown(media, job))

    async def uploads(self) -> list[dict[str, Any]]:
        library = await self._jobs.media.library()
        last = await self._jobs.latest_for_media([media.id for media in library], DOOR)
        return [_shown(media, last.get(media.id)) for media in library]

    async def results(self, request: Request, media_id: str) -> Results:
        media, job = await self._ran(media_id)
        root: str = request.scope.get("root_path", "")
        return results_body(media, job, await self._jobs.transcript(job), root)

    async def captions(self, media_id: str, format: str = "vtt") -> Response:  # noqa: A002
        _, job = await self._ran(media_id)
        kind = Format.parse(format)
        if kind not in (Format.VTT, Format.SRT):
            raise InvalidOptionError(f"format must be vtt or srt, not {kind.value!r}.", field="format")
        text = render(await self._jobs.transcript(job), kind)
        return Response(text, media_type=f"{kind.media_type}; charset=utf-8")

    async def video(self, request: Request, media_id: UUID, name: str) -> Response:
        """Found by its id in the store; the name must be its own, and is never a path."""
        media = await self._listed(str(media_id))
        if media.name != name:
            raise NotFoundError("There is no such recording.")
        return await send(request, media, self._jobs.media.stream)

    async def _listed(self, media_id: str) -> Media:
        media = await self._jobs.media.find(media_id)
        if media is None or media.listed_at is None:
            raise NotFoundError("There is no recording of that id in the library.", field="id")
        return media

    async def _named(self, body: dict[str, str]) -> Media:
        media_id, file = body.get("id"), body.get("file")
        if not media_id:
            raise MalformedRequestError("id is missing: send that of an upload.", field="id")
        media = await self._listed(media_id)
        if file and file not in (media.name, location(media), f"/{location(media)}", f"./{location(media)}"):
            raise MalformedRequestError("file is not the one of this id.", field="file")
        return media

    async def _ran(self, media_id: str) -> tuple[Media, Job]:
        media = await self._listed(media_id)
        job = (await self._jobs.latest_for_media([media.id], DOOR)).get(media.id)
        if job is None or job.state is not JobState.COMPLETED:
            raise NotFoundError("This recording has not been transcribed yet.", field="id")
        return media, job

    async def _ended(self, job: Job) -> Job:
        while not job.state.finished:
            await asyncio.sleep(_LOOK_SECONDS)
            job = await self._jobs.get(job.id)
        return job


async def _body(request: Request, context: DoorContext) -> dict[str, str]:
    """``file`` and ``id``, from JSON or a form."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        async with receive_form(request, context.uploads) as form:
            return {name: scalar(form.fields, name) or "" for name in ("file", "id")}
    raw = b""
    async for block in request.stream():
        raw += block
        if len(raw) > _LARGEST_BODY:
            raise MalformedRequestError(f"The body is larger than {_LARGEST_BODY:,} bytes.")
    if kind == "application/x-www-form-urlencoded":
        from urllib.parse import parse_qs

        fields = parse_qs(raw.decode("utf-8", "replace"))
        return {name: (scalar(fields, name) or "") for name in ("file", "id")}
    try:
        body = loads(raw)
    except ValueError:
        raise MalformedRequestError("The body is not valid JSON.") from None
    if not isinstance(body, dict) or not all(isinstance(body.get(n, ""), str) for n in ("file", "id")):
        raise MalformedRequestError("The body must be a JSON object with id and file as text.")
    return {name: body.get(name, "") for name in ("file", "id")}


def _waits(request: Request) -> bool:
    query = {name: request.query_params.getlist(name) for name in request.query_params}
    if boolean(query, "wait") is False:
        return False
    return "respond-async" not in request.headers.get("prefer", "").lower()


def _failure(job: Job) -> Response:
    """A job's error as the answer it would have been."""
    statuses = {kind.code: row.status for kind, row in TABLE.items() if kind is not ScribaError}
    status = 409 if job.state is JobState.CANCELLED else statuses.get(job.error_code or "", 500)
    return JSONResponse({"detail": job.error or "The transcription failed.", "id": job.media_id}, status)


def _shown(media: Media, job: Job | None) -> dict[str, Any]:
    body = metadata(media, job).model_dump()
    return body if body["model_ran"] else {k: v for k, v in body.items() if k not in ("time", "model_date")}


_UPLOAD: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            }
        },
    }
}
_MODEL: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["id"],
                    "properties": {"id": {"type": "string"}, "file": {"type": "string"}},
                }
            }
        },
    }
}
