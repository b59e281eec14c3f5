"""Transport of ``POST /transcribe``."""

from __future__ import annotations

from dataclasses import replace

from fastapi import APIRouter, Request

from scriba.domain.options import LanguagePolicy
from scriba.doors.context import DoorContext, facts_of
from scriba.doors.forms import refuse_query, refuse_unknown, scalar
from scriba.doors.multipart import receive_form
from scriba.doors.one_call.wire import Detail, OneCallForm, OneCallReply
from scriba.doors.schema import error_responses, form_body
from scriba.doors.watch import run_while_wanted
from scriba.transcribe.aio import transcribe


def one_call_router(context: DoorContext) -> APIRouter:
    """The door's routes."""
    router = APIRouter(tags=["One call"])

    @router.post(
        "/transcribe",
        response_model=OneCallReply,
        summary="Transcribe a recording",
        responses=error_responses(Detail, 400, 401, 408, 413, 415, 422, 500, 503),
        openapi_extra=form_body(OneCallForm, {"language": "english"}),
    )
    async def transcribe_recording(request: Request) -> OneCallReply:
        """The text of one recording, as soon as all of it is known."""
        with context.admission.place() as place:
            async with receive_form(request, context.uploads) as form:
                refuse_query(request.query_params)
                refuse_unknown(form.fields, {"language"})
                language = LanguagePolicy.parse(scalar(form.fields, "language"))
                policy = context.defaults.language
                if language.language is not None:
                    policy = language
                options = replace(context.defaults, language=policy)
                file = form.require_file()

                async def work() -> OneCallReply:
                    await place.start()
                    transcript = await transcribe(context.transcriber, file, options)
                    facts_of(request.scope).audio_seconds = transcript.duration
                    return OneCallReply(transcript=transcript.text.strip())

                return await run_while_wanted(request.receive, context.stopping, work())

    return router
