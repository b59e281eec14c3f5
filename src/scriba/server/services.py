"""What the application is made of, whoever put it together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from scriba.doors.context import ModelDirectory, SeparationDirectory
from scriba.engine.scheduler.waits import Load
from scriba.live.service import LiveService
from scriba.server.jobs import JobParts
from scriba.server.readiness import Warm
from scriba.server.settings import Settings
from scriba.transcribe.port import Transcriber


def _nothing() -> None:
    pass


@dataclass(frozen=True, slots=True)
class Services:
    """One process's parts. ``warm`` makes the default model ready; ``load`` tells what waits for the device,
    class by class; ``close`` frees all but jobs."""

    settings: Settings
    transcriber: Transcriber
    models: ModelDirectory
    warm: Warm
    live: LiveService | None = None
    separation: SeparationDirectory | None = None
    jobs: JobParts | None = None
    load: Callable[[], Mapping[str, Load]] | None = None
    close: Callable[[], None] = _nothing
