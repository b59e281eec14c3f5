"""Transport of ``/v1/jobs``."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from scriba.domain.errors import InvalidOptionError, MediaTooLargeError
from scriba.domain.job import Job, JobKind, JobState
from scriba.domain.media import SAMPLE_RATE
from scriba.domain.options import SeparationOptions, TranscribeOptions
from scriba.domain.speakers import SpeakerTurn
from scriba.doors.context import DoorContext
from scriba.doors.downloads import download_headers
from scriba.doors.forms import refuse_query, shown
from scriba.doors.intake import keep_file, keep_url
from scriba.doors.jobs.events import events_error, job_events
from scriba.doors.jobs.params import JobRequest, fields_of_json, parse_job
from scriba.doors.jobs.wire import (
    Deleted,
    JobBody,
    JobForm,
    JobPage,
    WebhookBody,
    WebhookList,
    iso,
    job_body,
)
from scriba.doors.multipart import receive_form
from scriba.doors.openai.wire import ErrorReply
from scriba.doors.schema import error_responses, form_body
from scriba.doors.speakers import FORM_BYTES
from scriba.doors.sse import EventStream
from scriba.formats.kinds import Format
from scriba.formats.render import RenderOptions, render
from scriba.formats.rttm import SPEECH, write_rttm
from scriba.jobs.fetch import FetchLimits
from scriba.jobs.service import JobService, Order
from scriba.jobs.webhooks import WebhookMessage

DOOR = "jobs"
_LARGEST_JSON = FORM_BYTES
_KEY = "idempotency-key"
_CONFLICT = error_responses(ErrorReply, 401, 404, 409)


def jobs_router(context: DoorContext, jobs: JobService, fetching: FetchLimits) -> APIRouter:
    """The door's routes."""
    router = APIRouter(prefix="/v1/jobs", tags=["Jobs"])

    @router.post(
        "",
        status_code=202,
        response_model=JobBody,
        summary="Order work on a recording",
        responses={
            200: {"model": JobBody, "description": "The Idempotency-Key was used before: the job of then."},
            **error_responses(ErrorReply, 400, 401, 404, 408, 413, 415, 500, 503),
        },
        openapi_extra=form_body(JobForm, {"language": "english"}),
    )
    async def create_job(request: Request) -> Response:
        """Stores the recording and answers at once. Work that was done before is completed already."""
        refuse_query(request.query_params)
        with context.admission.place():
            job, fresh = await _order(context, jobs, fetching, request)
        body = await _shown(jobs, job, request)
        return JSONResponse(
            body.model_dump(), 202 if fresh else 200, {"location": body.links.self, "retry-after": "1"}
        )

    @router.get("", summary="All jobs, newest first", responses=error_responses(ErrorReply, 400, 401, 404))
    async def list_jobs(
        request: Request,
        limit: Annotated[int, Query(ge=1, le=100, description="Jobs on a page.")] = 20,
        after: Annotated[str | None, Query(description="The last id of the page before.")] = None,
        status: Annotated[str | None, Query(description="Only jobs in this state.")] = None,
    ) -> JobPage:
        page = await jobs.page(limit=limit + 1, after=after, door=DOOR, state=_state(status))
        base = _base(request)
        return JobPage(data=[job_body(job, base) for job in page[:limit]], has_more=len(page) > limit)

    @router.get("/{job_id}", summary="One job", responses=error_responses(ErrorReply, 401, 404))
    async def show_job(request: Request, job_id: str) -> JobBody:
        return await _shown(jobs, await jobs.get(job_id, DOOR), request)

    @router.delete(
        "/{job_id}", summary="Stop and forget a job", responses=error_responses(ErrorReply, 401, 404)
    )
    async def delete_job(job_id: str) -> Deleted:
        """A job that runs stops within a second. Its result goes with it, unless another job has the same."""
        await jobs.get(job_id, DOOR)
        return Deleted(id=(await jobs.remove(job_id)).id)

    @router.post(
        "/{job_id}/cancel", summary="Stop a job", responses=error_responses(ErrorReply, 401, 404, 409)
    )
    async def cancel_job(request: Request, job_id: str) -> JobBody:
        """Its work stops within a second; the job stays, as cancelled."""
        await jobs.get(job_id, DOOR)
        return await _shown(jobs, await jobs.cancel(job_id), request)

    @router.post(
        "/{job_id}/retry",
        status_code=202,
        summary="Try a failed or cancelled job again",
        responses=_CONFLICT,
    )
    async def retry_job(request: Request, job_id: str) -> JobBody:
        await jobs.get(job_id, DOOR)
        return await _shown(jobs, await jobs.requeue(job_id), request)

    @router.get(
        "/{job_id}/events",
        summary="Watch a job",
        response_class=Response,
        responses={
            200: {"content": {"text/event-stream": {}}, "description": "Progress, segments, and the end."},
            **error_responses(ErrorReply, 401, 404),
        },
    )
    async def watch_job(request: Request, job_id: str) -> Response:
        """Server-sent events: `job.progress`, `job.segment` as segments become final, and the end."""
        job = await jobs.get(job_id, DOOR)
        return EventStream(
            job_events(jobs, job, _base(request)),
            resources=AsyncExitStack(),
            stopping=context.stopping,
            ping_seconds=context.ping_seconds,
            render_error=events_error,
        )

    @router.get(
        "/{job_id}/result",
        summary="A job's result",
        response_class=Response,
        responses=error_responses(ErrorReply, 400, 401, 404, 409, 410),
    )
    async def show_result(
        job_id: str,
        name: Annotated[str | None, Query(alias="format", description="A transcript's format.")] = None,
    ) -> Response:
        """`format`: json, verbose_json, text, txt, srt, vtt, tsv, lrc, lrc_words, rttm;
        of voice activity json and rttm."""
        return await _result(jobs, await jobs.get(job_id, DOOR), name)

    @router.get(
        "/{job_id}/file",
        summary="The files that a separation made",
        response_class=Response,
        responses=error_responses(ErrorReply, 401, 404, 409, 410),
    )
    async def show_file(job_id: str) -> Response:
        """Voice and music as WAV files in a zip, for a while after the job has ended."""
        file, blocks = await jobs.file(await jobs.get(job_id, DOOR))
        return StreamingResponse(blocks, 200, download_headers(file.name, file.size), "application/zip")

    @router.get(
        "/{job_id}/webhooks",
        summary="What the webhook was told",
        responses=error_responses(ErrorReply, 401, 404),
    )
    async def list_webhooks(job_id: str) -> WebhookList:
        await jobs.get(job_id, DOOR)
        return WebhookList(data=[_webhook(one) for one in await jobs.webhook_messages(job_id)])

    @router.post(
        "/{job_id}/webhooks/{message_id}/resend",
        status_code=202,
        summary="Tell the webhook again",
        responses=_CONFLICT,
    )
    async def resend_webhook(job_id: str, message_id: str) -> WebhookBody:
        await jobs.get(job_id, DOOR)
        return _webhook(await jobs.resend(message_id))

    return router


async def _order(
    context: DoorContext, jobs: JobService, fetching: FetchLimits, request: Request
) -> tuple[Job, bool]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        asked = parse_job(fields_of_json(await _small_body(request)), context.defaults, has_file=False)
        await _check(context, asked)
        return await _submit(context, jobs, fetching, request, asked, asked.media_id)
    async with receive_form(request, context.uploads, FORM_BYTES) as form:
        asked = parse_job(form.fields, context.defaults, has_file=form.file is not None)
        await _check(context, asked)
        media_id = asked.media_id
        if form.file is not None:
            media_id = (await keep_file(jobs, form))[0].id
        return await _submit(context, jobs, fetching, request, asked, media_id)


async def _check(context: DoorContext, asked: JobRequest) -> None:
    """What only the machine knows: which models there are."""
    work = asked.work
    if isinstance(work, TranscribeOptions):
        context.models.check(work.model)
    separation = work.separation if isinstance(work, TranscribeOptions) else work
    if context.separation is not None and isinstance(separation, SeparationOptions):
        await asyncio.to_thread(context.separation.check, separation)


async def _submit(
    context: DoorContext,
    jobs: JobService,
    fetching: FetchLimits,
    request: Request,
    asked: JobRequest,
    media_id: str | None,
) -> tuple[Job, bool]:
    order = Order(
        door=DOOR,
        media_id=media_id or "",
        work=asked.work,
        priority=asked.priority,
        idempotency_key=request.headers.get(_KEY),
        webhook_url=asked.webhook_url,
    )
    if media_id is None:
        url = asked.url or ""
        # By its hash: an address may hold what opens it.
        order = replace(order, request=json.dumps({"url_sha256": sha256(url.encode()).hexdigest()}))
        # Not fetched a second time: it may be gone, or another recording by now.
        if (job := await jobs.ordered_before(order)) is not None:
            return job, False
        order = replace(order, media_id=(await keep_url(jobs, url, fetching, context.uploads)).id)
    return await jobs.submit(order)


async def _small_body(request: Request) -> bytes:
    body = b""
    async for block in request.stream():
        body += block
        if len(body) > _LARGEST_JSON:
            raise MediaTooLargeError(f"The JSON body is larger than {_LARGEST_JSON:,} bytes.")
    return body


async def _shown(jobs: JobService, job: Job, request: Request) -> JobBody:
    return job_body(job, _base(request), await jobs.position(job))


def _base(request: Request) -> str:
    root: str = request.scope.get("root_path", "")
    return f"{root}/v1/jobs"


def _state(status: str | None) -> JobState | None:
    if status is None:
        return None
    try:
        return JobState(status)
    except ValueError:
        known = ", ".join(state.value for state in JobState)
        raise InvalidOptionError(
            f"status must be one of {known}, not {shown(status)}.", field="status"
        ) from None


async def _result(jobs: JobService, job: Job, name: str | None) -> Response:
    if job.kind is JobKind.VAD:
        return await _regions(jobs, job, name)
    if job.kind is JobKind.SEPARATION:
        if name not in (None, "json"):
            raise _wrong_format(job, "json", name or "")
        vocal, instrumental = await jobs.separated(job)
        return JSONResponse({"vocal_sha256": vocal, "instrumental_sha256": instrumental})
    kind = Format.JSON if name is None else Format.parse(name)
    transcript = await jobs.transcript(job)
    words = any(segment.words is not None for segment in transcript.segments)
    options = RenderOptions(words=words, recording=await _recording(jobs, job))
    text = render(transcript, kind, options=options)
    return Response(text, media_type=f"{kind.media_type}; charset=utf-8")


async def _regions(jobs: JobService, job: Job, name: str | None) -> Response:
    regions = [(start / SAMPLE_RATE, end / SAMPLE_RATE) for start, end in await jobs.regions(job)]
    if name in (None, "json"):
        return JSONResponse({"regions": [{"start": start, "end": end} for start, end in regions]})
    if name == Format.RTTM.value:
        turns = (SpeakerTurn(start, end, SPEECH) for start, end in regions)
        lines = write_rttm(turns, await _recording(jobs, job))
        return Response("".join(lines), media_type=f"{Format.RTTM.media_type}; charset=utf-8")
    raise _wrong_format(job, "json or rttm", name)


async def _recording(jobs: JobService, job: Job) -> str:
    """What the recording is called, without its extension."""
    media = None if job.media_id is None else await jobs.media.find(job.media_id)
    return "recording" if media is None else Path(media.name).stem


def _wrong_format(job: Job, right: str, name: str | None) -> InvalidOptionError:
    return InvalidOptionError(
        f"format of a job of the kind {job.kind} must be {right}, not {shown(name or '')}.", field="format"
    )


def _webhook(message: WebhookMessage) -> WebhookBody:
    return WebhookBody(
        id=message.id,
        status=message.state.value,
        attempt=message.attempt,
        created_at=iso(message.created_at) or "",
        http_status=message.status,
        error=message.error,
    )
