"""Transport of the task interface."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from scriba.domain.errors import (
    ConflictError,
    GoneError,
    InvalidOptionError,
    ModelNotFoundError,
    NotFoundError,
    UnsupportedOptionError,
)
from scriba.domain.job import Job, JobKind, JobState
from scriba.domain.options import SeparationOptions, TranscribeOptions
from scriba.doors.context import DoorContext
from scriba.doors.downloads import download_headers
from scriba.doors.intake import keep_file
from scriba.doors.multipart import receive_form
from scriba.doors.schema import error_responses
from scriba.doors.tasks.fields import MUSIC, TRANSCRIPTION, VAD, Field
from scriba.doors.tasks.params import (
    ServerFacts,
    TaskRequest,
    merge,
    parse_separation,
    parse_transcription,
    parse_vad,
)
from scriba.doors.tasks.wire import (
    Deleted,
    Detail,
    Queued,
    TaskBody,
    TaskList,
    segment_body,
    spelt,
    task_body,
)
from scriba.jobs.service import JobService, Order

DOOR = "tasks"
_UNKNOWN = "Identifier not found"
_TYPES = {"str": "string", "bool": "boolean", "int": "integer", "float": "number"}


def tasks_router(context: DoorContext, jobs: JobService, facts: ServerFacts, *, lower: bool) -> APIRouter:
    """The door's routes. ``lower``: states are written in lower case."""
    router = APIRouter(tags=["Tasks"])

    async def order(request: Request, kind: JobKind, message: str) -> Response:
        with context.admission.place():
            async with receive_form(request, context.uploads) as form:
                query = {name: request.query_params.getlist(name) for name in request.query_params}
                try:
                    asked = _parse(kind, merge(query, form.fields), context, facts)
                    await _check(asked, context)
                    form.require_file()
                except (InvalidOptionError, UnsupportedOptionError) as error:
                    return _unprocessable(error, in_query=error.field in query)
                media, _ = await keep_file(jobs, form)
                job, _ = await jobs.submit(Order(DOOR, media.id, asked.work, request=asked.params))
        # Also of work that was done before: clients of this interface compare with it.
        body = Queued(identifier=job.id, status=spelt(JobState.QUEUED, lower=lower), message=message)
        return JSONResponse(body.model_dump(), 201)

    @router.post("/transcription/", status_code=201, include_in_schema=False)
    @router.post(
        "/transcription",
        status_code=201,
        response_model=Queued,
        summary="Queue a transcription",
        responses=error_responses(Detail, 400, 408, 413, 415, 422, 503, 507),
        openapi_extra=_form(TRANSCRIPTION),
    )
    async def transcription(request: Request) -> Response:
        """Every parameter may be a field of the form or stand in the address, which wins."""
        return await order(request, JobKind.TRANSCRIPTION, "Transcription task has queued")

    @router.post("/vad/", status_code=201, include_in_schema=False)
    @router.post(
        "/vad",
        status_code=201,
        response_model=Queued,
        summary="Queue a search for speech",
        responses=error_responses(Detail, 400, 408, 413, 415, 422, 503, 507),
        openapi_extra=_form(VAD),
    )
    async def vad(request: Request) -> Response:
        """The result is start and end of every stretch of speech, in samples at 16 kHz."""
        return await order(request, JobKind.VAD, "VAD task has queued")

    @router.post("/bgm-separation/", status_code=201, include_in_schema=False)
    @router.post(
        "/bgm-separation",
        status_code=201,
        response_model=Queued,
        summary="Queue parting voice from music",
        responses=error_responses(Detail, 400, 408, 413, 415, 422, 503, 507),
        openapi_extra=_form(MUSIC),
    )
    async def separation(request: Request) -> Response:
        """The result are the hashes of two WAV files; `GET /task/file/{identifier}` has them as a zip."""
        return await order(request, JobKind.SEPARATION, "BGM Separation task has queued")

    @router.get("/task/all", summary="All tasks, newest first")
    async def all_tasks(
        limit: Annotated[int, Query(ge=1, le=1000, description="Tasks on a page.")] = 100,
        after: Annotated[str | None, Query(description="The last identifier of the page before.")] = None,
    ) -> TaskList:
        page = await jobs.page(limit=limit, after=after, door=DOOR)
        return TaskList(tasks=list(await asyncio.gather(*(_task(jobs, job, lower=lower) for job in page))))

    @router.get(
        "/task/file/{identifier}",
        summary="A task's result files",
        response_class=Response,
        responses=error_responses(Detail, 404, 409, 410),
    )
    async def task_file(identifier: str) -> Response:
        """The separated WAV files as a zip, for a while after the task has ended."""
        job = await _find(jobs, identifier)
        if not job.state.finished:
            raise ConflictError("The task has not ended yet.")
        file, blocks = await jobs.file(job)
        return StreamingResponse(blocks, 200, download_headers(file.name, file.size), "application/zip")

    @router.get("/task/{identifier}", summary="One task", responses=error_responses(Detail, 404))
    async def task(identifier: str) -> TaskBody:
        return await _task(jobs, await _find(jobs, identifier), lower=lower, with_position=True)

    @router.delete(
        "/task/{identifier}", summary="Stop and forget a task", responses=error_responses(Detail, 404)
    )
    async def delete_task(identifier: str) -> Deleted:
        """A task that runs stops within a second."""
        await _find(jobs, identifier)
        return Deleted(identifier=(await jobs.remove(identifier)).id)

    return router


def _parse(
    kind: JobKind, fields: dict[str, list[str]], context: DoorContext, facts: ServerFacts
) -> TaskRequest:
    if kind is JobKind.VAD:
        return parse_vad(fields, context.defaults.vad)
    if kind is JobKind.SEPARATION:
        return parse_separation(fields, context.defaults.separation)
    return parse_transcription(fields, context.defaults, facts)


async def _check(asked: TaskRequest, context: DoorContext) -> None:
    """What only the machine knows: which models there are."""
    work = asked.work
    if isinstance(work, TranscribeOptions):
        try:
            context.models.check(work.model)
        except ModelNotFoundError as error:
            raise InvalidOptionError(f"model_size: {error.message}", field="model_size") from None
    separation = work.separation if isinstance(work, TranscribeOptions) else work
    if context.separation is None:
        return
    if isinstance(separation, SeparationOptions):
        await asyncio.to_thread(context.separation.check, separation, "uvr_model_size", "uvr_device")
    elif asked.separation_model is not None:
        # Clients send every parameter they know; a name that is none is a mistake all the same.
        context.separation.check_name(asked.separation_model, "uvr_model_size")


async def _find(jobs: JobService, identifier: str) -> Job:
    try:
        return await jobs.get(identifier, DOOR)
    except NotFoundError:
        raise NotFoundError(_UNKNOWN) from None


async def _task(jobs: JobService, job: Job, *, lower: bool, with_position: bool = False) -> TaskBody:
    position = await jobs.position(job) if with_position else None
    return task_body(job, await _result(jobs, job), json.loads(job.request), position, lower=lower)


async def _result(jobs: JobService, job: Job) -> Any:
    if job.state is not JobState.COMPLETED:
        return None
    try:
        if job.kind is JobKind.VAD:
            return [{"start": start, "end": end} for start, end in await jobs.regions(job)]
        if job.kind is JobKind.SEPARATION:
            vocal, instrumental = await jobs.separated(job)
            return {"instrumental_hash": instrumental, "vocal_hash": vocal}
        return [segment_body(segment) for segment in (await jobs.transcript(job)).segments]
    except GoneError:
        return None  # the task stays when its result has expired


def _unprocessable(error: InvalidOptionError | UnsupportedOptionError, *, in_query: bool) -> Response:
    """FastAPI's own shape, which clients of this interface know."""
    place = ["query" if in_query else "body", *([error.field] if error.field else [])]
    detail = [{"type": error.code, "loc": place, "msg": error.message}]
    return JSONResponse({"detail": detail}, 422)


def _form(fields: dict[str, Field] | Any) -> dict[str, Any]:
    """The form's description, made from the table of parameters."""
    properties: dict[str, Any] = {
        "file": {"type": "string", "format": "binary", "description": "The recording."}
    }
    for name, field in fields.items():
        if field.kind == "ints":
            properties[name] = {"type": "array", "items": {"type": "integer"}}
            continue
        one: dict[str, Any] = {"type": _TYPES[field.kind]}
        if field.low is not None:
            one["exclusiveMinimum" if field.above else "minimum"] = field.low
        if field.high is not None:
            one["maximum"] = field.high
        properties[name] = one
    schema = {"type": "object", "required": ["file"], "properties": properties}
    content = {"multipart/form-data": {"schema": schema}}
    return {"requestBody": {"required": True, "content": content}}
