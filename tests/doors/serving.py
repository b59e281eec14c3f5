"""The application with jobs, on a transcriber that hears what it is told to."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from scriba.server.app import create_app
from scriba.server.jobs import build_jobs
from scriba.server.services import Services
from tests.jobs.doubles import FakeBatch, FakeVoice
from tests.server.fakes import FakeModels, FakeTranscriber, settings


def services(tmp_path: Path, batch: Any = None, **values: Any) -> Services:
    """Services whose jobs are done by ``batch``."""
    made = settings(tmp_path, **values)
    worker = made.jobs.worker
    jobs = build_jobs(made, (batch or FakeBatch()) if worker else None, FakeVoice() if worker else None)
    return Services(made, FakeTranscriber(), FakeModels(), lambda _: "base", jobs=jobs)


@asynccontextmanager
async def client(made: Services) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application without a network."""
    app = create_app(made)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://scriba") as http:
            yield http


async def until(
    http: httpx.AsyncClient, path: str, *statuses: str, field: str = "status", seconds: float = 15.0
) -> dict[str, Any]:
    """The answer as soon as its status is one of these."""
    end = time.monotonic() + seconds
    while True:
        answer = await http.get(path)
        body: dict[str, Any] = answer.json()
        if body.get(field) in statuses:
            return body
        assert time.monotonic() < end, body
        await asyncio.sleep(0.02)
