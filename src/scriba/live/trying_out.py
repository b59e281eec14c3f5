"""What a hearing costs on this machine, before anybody speaks."""

from __future__ import annotations

import numpy as np

from scriba.domain.media import SAMPLE_RATE
from scriba.domain.options import DecodingOptions
from scriba.domain.transcript import Task
from scriba.engine.port import Engine
from scriba.engine.scheduler import Priority, Scheduler
from scriba.live.hearing import HearingRequest, hear
from scriba.live.options import WindowBounds

_TIMES = 2
"""The first makes what the engine keeps for windows of this length."""
_TOKENS = 24
_COUNTING = " One, two, three, four, five, six, seven, eight,"
"""The model goes on with it, though it hears nothing: as many tokens are written as of speech."""


def try_out(engine: Engine, scheduler: Scheduler) -> float:
    """Seconds of a worker that it takes to hear a window of a full machine.

    An estimate: streams of real speech correct it as they are heard.

    Raises:
        EngineError: inference failed.
        OverloadedError: too much waits.
    """
    seconds = sum(WindowBounds().thrifty) / 2
    noise = np.random.default_rng(0).normal(0.0, 0.01, round(seconds * SAMPLE_RATE)).astype(np.float32)
    language = min(engine.capabilities.languages)
    request = HearingRequest(
        audio=noise,
        settled=(),
        previous=(),
        language=language,
        task=Task.TRANSCRIBE,
        options=DecodingOptions(
            beam_size=1,
            max_new_tokens=_TOKENS,
            temperatures=(0.0,),
            prefix=_COUNTING,
            without_timestamps=True,
        ),
        detect=False,
        last=False,
        short=True,
    )
    costs = []
    for _ in range(_TIMES):
        before = scheduler.busy_seconds(Priority.LIVE)
        # One for each worker: alone, an engine takes all cores for one of them.
        hearings = [
            scheduler.submit(hear(request, lambda _: language), engine, priority=Priority.LIVE)
            for _ in range(scheduler.workers)
        ]
        for hearing in hearings:
            hearing.result()
        costs.append((scheduler.busy_seconds(Priority.LIVE) - before) / scheduler.workers)
    return min(costs)
