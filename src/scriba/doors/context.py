"""What every door is given: the work it may order, and the limits it must keep."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from starlette.types import Scope

from scriba.domain.options import SeparationOptions, TranscribeOptions
from scriba.transcribe.port import Transcriber


class Place(Protocol):
    """A request's place in the server: held from its first byte to the last byte of its answer."""

    async def start(self) -> None:
        """Wait until the work may begin; first come, first served."""
        ...


class Admission(Protocol):
    """How many requests the server takes at once (adapter: ``scriba.server.admission``)."""

    def place(self) -> AbstractContextManager[Place]:
        """A place until the context ends.

        Raises:
            OverloadedError: every place is taken.
        """
        ...


@dataclass(frozen=True, slots=True)
class ModelCard:
    """A model as a client sees it. ``created`` is seconds since the epoch, 0 where nobody knows."""

    id: str
    created: int
    owned_by: str


class ModelDirectory(Protocol):
    """Which models a request may name (adapter: ``scriba.server.directory``)."""

    def models(self) -> Sequence[ModelCard]:
        """Models that can serve now, aliases included. Blocking."""
        ...

    def find(self, name: str) -> ModelCard | None:
        """One of them by name; None when there is none. Blocking."""
        ...

    def check(self, name: str | None) -> None:
        """Refuse a name that no model has; one that is not here, and could be fetched, is none of these.

        Raises:
            ModelNotFoundError: the message lists the names.
        """
        ...


class SeparationDirectory(Protocol):
    """What parts voice from music (adapter: ``scriba.separation.process``)."""

    def check(self, options: SeparationOptions, model_field: str = ..., device_field: str = ...) -> None:
        """Refuse at once what cannot be done here, by the request's own names. Blocking, and quick.

        Raises:
            UnsupportedOptionError: the model or the device is not to be had; the message says what helps.
        """
        ...

    def check_name(self, model: str, field: str) -> None:
        """
        Raises:
            UnsupportedOptionError: no model has this name, here or elsewhere.
        """
        ...


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """``max_bytes`` counts the file alone, while it arrives."""

    max_bytes: int
    idle_seconds: float
    directory: Path


@dataclass(frozen=True, slots=True)
class DoorContext:
    """Everything a door works with. ``stopping`` is set when running work must end."""

    transcriber: Transcriber
    models: ModelDirectory
    admission: Admission
    uploads: UploadLimits
    defaults: TranscribeOptions
    ping_seconds: float = 15.0
    separation: SeparationDirectory | None = None
    stopping: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class RequestFacts:
    """What is known of a request's work, for its line in the log. Never what was said."""

    audio_seconds: float | None = None
    upload_bytes: int | None = None
    hung_up: bool = False


_FACTS = "scriba.facts"


def facts_of(scope: Scope) -> RequestFacts:
    """The facts of the request that this scope belongs to."""
    facts = scope.setdefault(_FACTS, RequestFacts())
    assert isinstance(facts, RequestFacts)  # noqa: S101 - the key is ours alone
    return facts
