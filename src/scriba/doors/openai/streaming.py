"""A running transcription as OpenAI's stream events."""

from __future__ import annotations

from typing import Any, BinaryIO

from starlette.requests import Request

from scriba.domain.errors import EngineError, ScribaError
from scriba.domain.events import Finished, SegmentReady
from scriba.domain.transcript import segment_separator
from scriba.doors.context import DoorContext, Place, facts_of
from scriba.doors.errors import openai_error
from scriba.doors.openai import replies, wire
from scriba.doors.openai.form import DIARIZED
from scriba.doors.openai.params import AudioRequest
from scriba.doors.sse import Events
from scriba.transcribe.aio import open_events


async def stream_events(
    context: DoorContext, request: Request, place: Place, file: BinaryIO, asked: AudioRequest
) -> Events:
    """A delta for each segment with text, then done. The deltas joined are ``Transcript.text``.

    With speakers each delta names its segment, and the segment follows.
    """
    await place.start()
    letters = replies.letters_for(asked.options) if asked.response_format == DIARIZED else None
    begun = False
    async with open_events(context.transcriber, file, asked.options) as events:
        async for event in events:
            if isinstance(event, SegmentReady) and event.segment.text:
                separator = segment_separator(event.segment.language) if begun else ""
                begun = True
                delta = separator + event.segment.text
                if letters is None:
                    yield wire.TextDelta(delta=delta)
                    continue
                segment = replies.diarized_segment(event.segment, letters(event.segment.speaker))
                yield wire.TextDelta(delta=delta, segment_id=segment.id)
                yield segment
            elif isinstance(event, Finished):
                facts_of(request.scope).audio_seconds = event.transcript.duration
                yield replies.done(event.transcript)
                return
    raise EngineError("The transcription ended without a result.")


def stream_error(error: Exception) -> dict[str, Any]:
    """A failure in the middle of a stream, in OpenAI's shape."""
    known = (
        error
        if isinstance(error, ScribaError)
        else EngineError("The server failed in the middle of the stream.")
    )
    return openai_error(known)
