"""Logging as the server has it."""

from __future__ import annotations

from tests.server.conftest import server_logging

__all__ = ["server_logging"]
