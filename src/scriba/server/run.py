"""Running the server until it is told to stop."""

from __future__ import annotations

import asyncio
import errno
import socket
import sys
from collections.abc import Callable
from contextlib import suppress

import structlog
import uvicorn

from scriba.server.app import create_app
from scriba.server.composition import build_services
from scriba.server.jobs import prepare
from scriba.server.logs import configure_logging
from scriba.server.readiness import Readiness
from scriba.server.services import Services
from scriba.server.setting_sources import SettingsError
from scriba.server.settings import Settings

_END_SECONDS = 10
"""What cancelled work has to end in, beyond the grace."""
_BACKLOG = 2048
_REALTIME_MESSAGE = 20 << 20
"""15 MiB in base64, which one message of the Realtime API may carry."""
_SWITCH_SECONDS = 0.001
"""How long a thread that computes keeps the interpreter from one that answers; Python's own is 5 ms."""
log = structlog.get_logger(__name__)


def serve(settings: Settings, tell: Callable[[str], None] | None = None) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        tell: gets the few lines meant for the person at the terminal; they go to the standard error else.

    Raises:
        SettingsError: the address cannot be had, or a setting is wrong; one line says which.
    """
    configure_logging(settings.log_level, settings.log_format)
    sys.setswitchinterval(_SWITCH_SECONDS)
    listener = _listen(settings)
    try:
        prepare(settings)
        services = build_services(settings, with_jobs=True)
        # uvicorn has shut down in order before it raises the signal again.
        with suppress(KeyboardInterrupt):
            ScribaServer(services, listener, tell or _tell).run(sockets=[listener])
    finally:
        listener.close()


class ScribaServer(uvicorn.Server):
    """uvicorn, which here says when the model is loaded, and on shutdown ends the work that still runs."""

    def __init__(self, services: Services, listener: socket.socket, tell: Callable[[str], None]) -> None:
        settings = services.settings
        app = create_app(services)
        self._readiness: Readiness = app.state.readiness
        self._stopping: asyncio.Event = app.state.stopping
        self._settings = settings
        self._address = _address(settings.host, listener.getsockname()[1]) + settings.root_path
        self._tell = tell
        self._announcing: asyncio.Task[None] | None = None
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                server_header=False,
                root_path=settings.root_path,
                proxy_headers=True,
                forwarded_allow_ips=list(settings.trusted_proxies),
                timeout_graceful_shutdown=int(settings.shutdown_grace_seconds) + _END_SECONDS,
                backlog=_BACKLOG,
                ws_max_size=largest_message(settings),
                # Sound does not get smaller: trying took a third of the event loop's time with 16 streams.
                ws_per_message_deflate=False,
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._tell(f"Scriba listens on {self._address} and loads its model.")
        self._announcing = asyncio.create_task(self._announce())

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._announcing is not None:
            self._announcing.cancel()
        timer = asyncio.get_running_loop().call_later(
            self._settings.shutdown_grace_seconds, self._stopping.set
        )
        try:
            await super().shutdown(sockets)
        finally:
            timer.cancel()

    async def _announce(self) -> None:
        await self._readiness.settled.wait()
        if self._readiness.ready:
            self._tell(_welcome(self._address, self._readiness.model or "", self._settings))
        else:
            self._tell(f"Scriba cannot transcribe: {self._readiness.reason}")


def largest_message(settings: Settings) -> int:
    """Bytes of a WebSocket message before any door looks at it; each has a bound of its own below that."""
    return max(_REALTIME_MESSAGE, settings.max_message_mib << 20) + (1 << 20)


def _welcome(address: str, model: str, settings: Settings) -> str:
    lines = [f"Ready, with the model {model}."]
    if settings.docs:
        lines.append(f"  Documentation  {address}/redoc   (to try things out: {address}/docs)")
    key = " -H 'Authorization: Bearer YOUR_KEY'" if settings.api_keys else ""
    lines.append(f"  Try it         curl{key} -F file=@speech.wav {address}/transcribe")
    lines.append(f"  OpenAI clients base_url={address}/v1")
    return "\n".join(lines)


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listener = socket.create_server((settings.host, settings.port), family=family, backlog=_BACKLOG)
    except OSError as error:
        where = f"{settings.host}:{settings.port}"
        if error.errno == errno.EADDRINUSE:
            reason = (
                f"SCRIBA_PORT: {where} is in use by another program. Choose another, or 0 for a free one."
            )
        elif error.errno == errno.EACCES:
            reason = f"SCRIBA_PORT: this user may not listen on {where}. Choose a port above 1023."
        else:
            reason = f"SCRIBA_HOST: {where} is no address of this machine to listen on."
        raise SettingsError(reason) from None
    except OverflowError:
        raise SettingsError(f"SCRIBA_PORT: {settings.port} is no port.") from None
    # Connections inherit it. Without it the second half of an answer waits until the client has acknowledged
    # the first: 40 ms on a connection that is used again. asyncio sets it only on sockets that name TCP.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _address(host: str, port: int) -> str:
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{shown}:{port}"


def _tell(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
