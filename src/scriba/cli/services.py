"""What commands that do the work themselves need: the same parts as the server has, put together once."""

from __future__ import annotations

import logging
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scriba.server.settings import Settings
    from scriba.transcribe.port import Transcriber


def log_to_stderr(level: int = logging.WARNING) -> None:
    """Warnings on the standard error: the standard output is for results alone."""
    import structlog

    structlog.configure(
        processors=[structlog.processors.add_log_level, structlog.dev.ConsoleRenderer(colors=False)],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
    )


@contextmanager
def open_transcriber(settings: Settings) -> Generator[Transcriber]:
    raise NotImplementedError
    yield
