"""A real server on a free port, with an engine that knows its recording by heart."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from scriba.engine.scheduler import Scheduler
from scriba.live.service import LiveLimits, LiveService
from scriba.server.services import Services
from tests.live.doubles import RATE, ByHeart, Engines, recording
from tests.server.fakes import FakeModels, FakeTranscriber, Serving, settings


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

        @contextmanager
        def server(limits: LiveLimits, cost: float, **values: Any) -> Iterator[Serving]:
            scheduler = Scheduler(2)
            live = LiveService(Engines(ByHeart(audio, cost=cost)), scheduler, tmp_path / "live", limits)
            services = Services(
                settings=settings(tmp_path, **values),
                transcriber=FakeTranscriber(),
                models=FakeModels(),
                warm=lambda _: "base",
                live=live,
                close=scheduler.close,
            )
            with Serving(services) as serving:
                yield serving

        def start(limits: LiveLimits | None = None, *, cost: float = 0.0, **values: Any) -> Serving:
            return stack.enter_context(server(limits or LiveLimits(sync_seconds=0.0), cost, **values))

        yield start
