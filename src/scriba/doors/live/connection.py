"""One connection of the live protocol, from its first message to its close."""

from __future__ import annotations

import asyncio
import struct
from dataclasses import replace

import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect

from scriba.domain.errors import (
    InvalidOptionError,
    MediaTooLargeError,
    OverloadedError,
    ScribaError,
    SessionNotFoundError,
)
from scriba.domain.options import LanguagePolicy
from scriba.domain.transcript import Task
from scriba.doors import sockets
from scriba.doors.context import DoorContext
from scriba.doors.live import wire
from scriba.doors.speakers import speaker_numbers
from scriba.live.forms import CHANNELS, ENCODINGS, RATES, parse_form
from scriba.live.numbered import Numbered
from scriba.live.options import EndpointOptions, LiveOptions, SettlePolicy
from scriba.live.outbox import Outbox
from scriba.live.service import LiveService
from scriba.live.session import LiveSession

log = structlog.get_logger(__name__)

REFUSED, UNKNOWN, REPLACED, TOO_SLOW, FAILED = 4400, 4404, 4409, 4408, 4500
"""Close codes beside those of RFC 6455."""
_OPENING_SECONDS = 30.0
_HEADER = struct.Struct(">I")


class LiveConnection:
    """Reads frames and commands, writes events."""

    def __init__(self, socket: WebSocket, context: DoorContext, live: LiveService) -> None:
        self._socket = socket
        self._context = context
        self._live = live

    async def run(self) -> None:
        await self._socket.accept()
        await sockets.send(self._socket, self._hello())
        try:
            opened = await self._open()
        except WebSocketDisconnect:
            return
        except sockets.TooBigError:
            await sockets.close(self._socket, sockets.TOO_BIG, "The message is too large.")
            return
        except ScribaError as error:
            await sockets.send(self._socket, wire.error_message(error))
            await sockets.close(self._socket, _code(error), error.message)
            return
        session, after = opened
        await self._talk(session, after)

    def _hello(self) -> dict[str, object]:
        limits = self._live.limits
        return {
            "type": "hello",
            "protocol": wire.PROTOCOL,
            "limits": {
                "encodings": list(ENCODINGS),
                "sample_rates": list(RATES),
                "channels": list(CHANNELS),
                "max_frame_bytes": limits.max_frame_bytes,
                "max_seconds": limits.max_seconds,
                "max_sessions": limits.max_sessions,
                "resume_seconds": limits.resume_seconds,
                "keep_seconds": limits.keep_seconds,
            },
        }

    async def _open(self) -> tuple[LiveSession, int]:
        try:
            async with asyncio.timeout(_OPENING_SECONDS):
                message = await sockets.receive(self._socket, self._live.limits.max_frame_bytes)
        except TimeoutError:
            raise InvalidOptionError(
                f"The first message must come within {_OPENING_SECONDS:g} seconds.", field="message"
            ) from None
        if isinstance(message, bytes):
            raise InvalidOptionError("The first message must be start or resume.", field="message")
        opening = wire.parse_opening(message)
        if isinstance(opening, wire.Resume):
            return await self._live.resume(opening.session), opening.after
        form = parse_form(opening.audio.encoding, opening.audio.sample_rate, opening.audio.channels)
        options = self._options(opening)
        return await self._live.open(options, form, sequenced=opening.sequenced), 0

    def _options(self, start: wire.Start) -> LiveOptions:
        policy = LanguagePolicy.parse(start.language, start.languages)
        defaults = self._context.defaults
        if policy.language is None and not policy.allowed:
            policy = defaults.language
        endpoint = EndpointOptions(automatic=start.automatic)
        if start.end_silence is not None:
            endpoint = replace(
                endpoint, end=start.end_silence, pause=min(endpoint.pause, start.end_silence * 0.75)
            )
        return LiveOptions(
            model=start.model,
            task=Task(start.task),
            language=policy,
            settle=SettlePolicy.for_delay(start.delay),
            endpoint=endpoint,
            prompt=start.prompt,
            hotwords=start.hotwords,
            beam_size=defaults.decoding.beam_size,
            guards=defaults.guards,
            speakers=speaker_numbers(
                start.diarize, start.num_speakers, start.min_speakers, start.max_speakers
            ),
            refine=start.refine,
        )

    async def _talk(self, session: LiveSession, after: int) -> None:
        outbox = session.attach()
        try:
            received: dict[str, int] = {"bytes": session.received}
            if session.frame is not None:
                received["frame"] = session.frame
            until = session.seq
            await sockets.send(
                self._socket, {"type": "started", "session": session.id, "received": received, "seq": until}
            )
            missed = await self._live.events(session.id, after, until) if after < until else []
            await sockets.first_of(
                self._read(session), self._write(session, outbox, missed), self._watch_stop()
            )
        finally:
            session.detach(outbox)

    async def _watch_stop(self) -> None:
        await self._context.stopping.wait()
        await sockets.close(self._socket, sockets.RESTART, "The server is shutting down; resume the session.")

    async def _read(self, session: LiveSession) -> None:
        try:
            async for message in sockets.messages(self._socket, self._live.limits.max_frame_bytes):
                try:
                    if isinstance(message, bytes):
                        await self._audio(session, message)
                    elif isinstance(wire.parse_command(message), wire.Finish):
                        session.finish()
                    else:
                        session.flush()
                except MediaTooLargeError as error:
                    await sockets.send(self._socket, wire.error_message(error))
                    session.finish()
                except ScribaError as error:
                    await sockets.send(self._socket, wire.error_message(error))
        except sockets.TooBigError:
            await sockets.close(
                self._socket,
                sockets.TOO_BIG,
                f"A frame may have {self._live.limits.max_frame_bytes} bytes.",
            )

    async def _audio(self, session: LiveSession, message: bytes) -> None:
        if session.frame is None:
            await session.audio(message)
            return
        if len(message) < _HEADER.size:
            raise InvalidOptionError("A numbered frame begins with its number in 4 bytes.", field="audio")
        [number] = _HEADER.unpack_from(message)
        expected = session.frame + 1
        if number < expected:
            return  # sent again after a reconnection
        if number > expected:
            raise InvalidOptionError(
                f"Frame {expected} is missing: frame {number} came instead.", field="audio"
            )
        await session.audio(message[_HEADER.size :], number)

    async def _write(self, session: LiveSession, outbox: Outbox, missed: list[Numbered]) -> None:
        speakers = session.speakers is not None
        for numbered in missed:
            await sockets.send(self._socket, wire.event_message(numbered, speakers=speakers))
        while True:
            items = await outbox.get()
            if items is None:
                break
            for numbered in items:
                await sockets.send(self._socket, wire.event_message(numbered, speakers=speakers))
        code, reason = sockets.NORMAL, ""
        if outbox.closed == "replaced":
            code, reason = REPLACED, "Another connection has taken the session over."
        elif outbox.closed == "too slow":
            code, reason = TOO_SLOW, "The client reads too slowly; resume the session."
        elif session.error is not None:
            code, reason = FAILED, session.error.message
        elif self._context.stopping.is_set():
            code, reason = sockets.RESTART, "The server is shutting down; resume the session."
        await sockets.close(self._socket, code, reason)


def _code(error: ScribaError) -> int:
    if isinstance(error, OverloadedError):
        return sockets.TRY_LATER
    return UNKNOWN if isinstance(error, SessionNotFoundError) else REFUSED
