"""``scriba worker``: doing jobs until told to stop, without serving anything."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable

import structlog

from scriba.domain.cancel import CancelToken
from scriba.domain.errors import ScribaError
from scriba.server.composition import build_services
from scriba.server.jobs import prepare
from scriba.server.logs import configure_logging
from scriba.server.services import Services
from scriba.server.settings import Settings

log = structlog.get_logger(__name__)


def work(settings: Settings, tell: Callable[[str], None] | None = None) -> None:
    """Do jobs until SIGINT or SIGTERM; what still runs after the grace goes back into the queue.

    Raises:
        SettingsError: the database cannot be had, or a setting is wrong.
    """
    configure_logging(settings.log_level, settings.log_format)
    jobs = settings.jobs.model_copy(update={"worker": True})
    settings = settings.model_copy(update={"jobs": jobs})
    prepare(settings)
    services = build_services(settings, with_jobs=True)
    try:
        asyncio.run(_run(services, tell or _tell))
    finally:
        services.close()


async def _run(services: Services, tell: Callable[[str], None]) -> None:
    jobs = services.jobs
    assert jobs is not None  # noqa: S101 - built with them
    stop = asyncio.Event()
    cancel = CancelToken()
    loop = asyncio.get_running_loop()

    def end() -> None:
        stop.set()
        cancel.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end)
    await jobs.open()
    try:
        tell("Scriba works on jobs.")
        warming = asyncio.create_task(asyncio.to_thread(_warm, services, cancel))
        await jobs.run(stop, services.settings.shutdown_grace_seconds)
        cancel.cancel()
        await warming
    finally:
        await jobs.close()


def _warm(services: Services, cancel: CancelToken) -> None:
    """The default model is loaded before the first job asks for it; a job that does says what is wrong."""
    try:
        services.warm(cancel)
    except ScribaError as error:
        log.warning("model not loaded", why=error.message)


def _tell(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
