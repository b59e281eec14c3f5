"""Running a fresh engine once, so that the first user does not pay for its working memory and threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from scriba.domain.options import DecodingOptions
from scriba.domain.transcript import Task
from scriba.engine.port import WINDOW_SAMPLES, DecodeRequest, Engine


def warm_up(engine: Engine) -> None:
    """Pass a window of silence through every worker of the engine."""
    options = DecodingOptions(max_new_tokens=8)
    request = DecodeRequest(min(engine.capabilities.languages), Task.TRANSCRIBE, options, temperature=0.0)

    def once(_: int) -> None:
        engine.decode([(engine.encode(np.zeros(WINDOW_SAMPLES, dtype=np.float32), full=True), request)])

    workers = engine.capabilities.parallelism
    with ThreadPoolExecutor(workers, thread_name_prefix="warm-up") as pool:
        list(pool.map(once, range(workers)))
