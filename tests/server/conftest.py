"""Logging as the server has it, and put back afterwards."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog

from scriba.server.logs import configure_logging
from scriba.server.settings import LogFormat, LogLevel


@pytest.fixture(autouse=True)
def server_logging() -> Iterator[None]:
    root = logging.getLogger()
    before = root.level, list(root.handlers)
    configure_logging(LogLevel.INFO, LogFormat.JSON)
    yield
    structlog.reset_defaults()
    root.setLevel(before[0])
    root.handlers[:] = before[1]
