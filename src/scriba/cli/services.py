"""What commands that do the work themselves need: the same parts as the server has, put together once."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from scriba.cli import progress
from scriba.models.catalogue import Catalogue
from scriba.models.files import ProgressCallback
from scriba.models.store import ModelStore

if TYPE_CHECKING:
    from scriba.server.settings import Settings
    from scriba.transcribe.port import Transcriber


@contextmanager
def open_transcriber(settings: Settings) -> Generator[Transcriber]:
    """The transcriber that the server would have with these settings. Warnings go to the standard error."""
    from scriba.server.composition import build_services
    from scriba.server.logs import configure_logging
    from scriba.server.settings import LogFormat, LogLevel

    configure_logging(LogLevel.WARNING, LogFormat.CONSOLE)
    services = build_services(settings)
    try:
        yield services.transcriber
    finally:
        services.close()
