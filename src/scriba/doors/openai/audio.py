"""Transport of ``/v1/audio/transcriptions`` and ``/v1/audio/translations``."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import BinaryIO

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from scriba.domain.transcript import Task, Transcript
from scriba.doors.context import DoorContext, Place, facts_of
from scriba.doors.multipart import receive_form
from scriba.doors.openai import replies, wire
from scriba.doors.openai.documents import AUDIO_ERRORS, transcription_answers, translation_answers
from scriba.doors.openai.form import TranscriptionForm, TranslationForm
from scriba.doors.openai.params import AudioRequest, parse_request
from scriba.doors.openai.streaming import stream_error, stream_events
from scriba.doors.schema import form_body
from scriba.doors.speakers import FORM_BYTES
from scriba.doors.sse import EventStream
from scriba.doors.watch import run_while_wanted
from scriba.formats.json_text import verbose_json_body
from scriba.formats.kinds import Format
from scriba.formats.render import render
from scriba.transcribe.aio import transcribe


def audio_router(context: DoorContext) -> APIRouter:
    """The two audio routes."""
    router = APIRouter(prefix="/v1/audio", tags=["OpenAI audio"])

    @router.post(
        "/transcriptions",
        summary="Transcribe a recording in the language it is spoken in",
        response_model=wire.Transcription | wire.VerboseTranscription | wire.DiarizedTranscription,
        responses={200: transcription_answers(), **AUDIO_ERRORS},
        openapi_extra=form_body(TranscriptionForm, {"response_format": "json"}),
    )
    async def create_transcription(request: Request) -> Response:
        """As OpenAI's route of that name. A field that this server cannot honour is refused by name."""
        return await _answer(context, request, Task.TRANSCRIBE)

    @router.post(
        "/translations",
        summary="Translate a recording into English",
        response_model=wire.Translation | wire.VerboseTranscription,
        responses={200: translation_answers(), **AUDIO_ERRORS},
        openapi_extra=form_body(TranslationForm, {"response_format": "json"}),
    )
    async def create_translation(request: Request) -> Response:
        """As OpenAI's route of that name. A field that this server cannot honour is refused by name."""
        return await _answer(context, request, Task.TRANSLATE)

    return router


async def _answer(context: DoorContext, request: Request, task: Task) -> Response:
    async with AsyncExitStack() as resources:
        place = resources.enter_context(context.admission.place())
        form = await resources.enter_async_context(receive_form(request, context.uploads, FORM_BYTES))
        asked = parse_request(form.fields, task, context.defaults)
        file = form.require_file()
        if not asked.stream:
            work = _whole(context, request, place, file, asked)
            return await run_while_wanted(request.receive, context.stopping, work)
        # The stream outlives this function, and takes the file and the place with it.
        return EventStream(
            stream_events(context, request, place, file, asked),
            resources=resources.pop_all(),
            stopping=context.stopping,
            ping_seconds=context.ping_seconds,
            render_error=stream_error,
        )


async def _whole(
    context: DoorContext, request: Request, place: Place, file: BinaryIO, asked: AudioRequest
) -> Response:
    await place.start()
    transcript = await transcribe(context.transcriber, file, asked.options)
    facts_of(request.scope).audio_seconds = transcript.duration
    return _render(transcript, asked)


def _render(transcript: Transcript, asked: AudioRequest) -> Response:
    match asked.response_format:
        case "json" if asked.options.task is Task.TRANSLATE:
            return JSONResponse(replies.translation(transcript).model_dump())
        case "json":
            return JSONResponse(replies.transcription(transcript).model_dump())
        case "diarized_json":
            return JSONResponse(replies.diarized(transcript, replies.letters_for(asked.options)).model_dump())
        case "verbose_json":
            return JSONResponse(verbose_json_body(transcript, segments=asked.segments, words=asked.words))
        case name:
            kind = Format(name)
            return Response(
                render(transcript, kind, asked.rules), media_type=f"{kind.media_type}; charset=utf-8"
            )
