"""A real server on a free port, with an engine that knows its recording by heart."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from scriba.engine.ctranslate2 import CTranslate2Engine
from scriba.engine.port import Engine
from scriba.engine.scheduler import Scheduler
from scriba.live.service import LiveLimits, LiveService
from scriba.server.services import Services
from scriba.speakers.port import NetworkProvider
from scriba.transcribe.recording import RecordingTranscriber
from tests.live.doubles import RATE, ByHeart, Engines, recording
from tests.server.fakes import FakeModels, FakeTranscriber, Serving, settings
from tests.speech import bundled


@pytest.fixture(scope="session")
def audio(two_cities: Path) -> NDArray[np.float32]:
    return np.concatenate((recording(two_cities, 12.0), np.zeros(RATE, np.float32)))


@pytest.fixture(scope="session")
def said(audio: NDArray[np.float32]) -> str:
    return "".join(word.text for word in ByHeart(audio).words).strip()


Serve = Callable[..., Serving]


@pytest.fixture
def serve(tmp_path: Path, audio: NDArray[np.float32]) -> Iterator[Serve]:
    """Starts servers on one data folder; they end with the test."""
    with ExitStack() as stack:

        def start(limits: LiveLimits | None = None, *, cost: float = 0.0, **values: Any) -> Serving:
            return stack.enter_context(server(tmp_path, ByHeart(audio, cost=cost), limits, **values))

        yield start


@pytest.fixture(scope="session")
def tiny_en() -> Iterator[Engine]:
    """The bundled model."""
    engine = cast(Engine, CTranslate2Engine(bundled(), model="tiny.en"))
    yield engine
    engine.close()


@pytest.fixture
def serve_sound(tmp_path: Path, tiny_en: Engine) -> Iterator[Serve]:
    """As ``serve``, with a real model: for sound that is not exactly the recording's."""
    with ExitStack() as stack:

        def start(limits: LiveLimits | None = None, **values: Any) -> Serving:
            return stack.enter_context(server(tmp_path, tiny_en, limits, **values))

        yield start


@contextmanager
def server(
    folder: Path,
    engine: Engine,
    limits: LiveLimits | None,
    voices: NetworkProvider | None = None,
    **values: Any,
) -> Iterator[Serving]:
    scheduler = Scheduler(2)
    real = None if isinstance(engine, ByHeart) else RecordingTranscriber(Engines(engine), scheduler)
    live = LiveService(
        Engines(engine),
        scheduler,
        folder / "live",
        limits or LiveLimits(sync_seconds=0.0),
        voices=voices,
        transcriber=real,
    )
    services = Services(
        settings=settings(folder, **values),
        transcriber=real or FakeTranscriber(),
        models=FakeModels(),
        warm=lambda _: "base",
        live=live,
        close=scheduler.close,
    )
    with Serving(services) as serving:
        yield serving
