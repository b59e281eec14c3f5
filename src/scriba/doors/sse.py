"""Server-sent events (WHATWG HTML, "Server-sent events") for work that takes a while.

The first event decides the status: until it is there, or until a ping would be due, nothing is sent, so that
a failure before it is an ordinary error answer. A later failure is an event, since the status has gone out.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack
from typing import Any

import structlog
from pydantic import BaseModel
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from scriba.domain.errors import CancelledByUserError, ScribaError
from scriba.doors.context import facts_of
from scriba.doors.watch import run_while_wanted

Events = AsyncGenerator[BaseModel, None]
ErrorRenderer = Callable[[Exception], dict[str, Any]]

_PING = b": ping\n\n"
log = structlog.get_logger(__name__)


def sse_data(body: object) -> bytes:
    """One event: ``data:`` and a line of JSON."""
    return b"data: " + json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"


class EventStream(Response):
    """Sends ``events`` as they come, with comments in between that keep the connection open.

    Args:
        events: the work; closed when the client hangs up or the server stops.
        resources: what the work needs (its file, its place in the server); closed after it, in every case.
        render_error: the body of the event for a failure in the middle.
    """

    media_type = "text/event-stream"
    charset = "utf-8"

    def __init__(
        self,
        events: Events,
        *,
        resources: AsyncExitStack,
        stopping: asyncio.Event,
        ping_seconds: float,
        render_error: ErrorRenderer,
    ) -> None:
        # Proxies that buffer (nginx) would hold the events back.
        super().__init__(headers={"cache-control": "no-store", "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._events = events
        self._resources = resources
        self._stopping = stopping
        self._ping_seconds = ping_seconds
        self._render_error = render_error
        self._started = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._resources:
            try:
                await run_while_wanted(receive, self._stopping, self._pump(send))
            except CancelledByUserError:
                if not self._started:
                    raise
                facts_of(scope).hung_up = True
                return  # nobody is there to be told
            except Exception as error:
                if not self._started:
                    raise
                if not isinstance(error, ScribaError):
                    log.exception("stream failed")
                await self._send(send, b"event: error\n" + sse_data(self._render_error(error)))
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _pump(self, send: Send) -> None:
        step: asyncio.Future[BaseModel] | None = None
        try:
            while True:
                step = step or asyncio.ensure_future(anext(self._events))
                done, _ = await asyncio.wait({step}, timeout=self._ping_seconds)
                if not done:
                    await self._send(send, _PING)
                    continue
                try:
                    event = step.result()
                except StopAsyncIteration:
                    return
                step = None
                await self._send(send, sse_data(event.model_dump(mode="json")))
        finally:
            if step is not None and not step.done():
                step.cancel()
                await asyncio.gather(step, return_exceptions=True)
            await self._events.aclose()

    async def _send(self, send: Send, body: bytes) -> None:
        if not self._started:
            self._started = True
            await send(
                {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            )
        await send({"type": "http.response.body", "body": body, "more_body": True})
