"""Running a fresh engine once, so that the first user does not pay for its working memory and threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np

from scriba.domain.options import DecodingOptions
from scriba.domain.transcript import Task
from scriba.engine.port import WINDOW_SAMPLES, DecodeRequest, Engine


def warm_up(engine: Engine) -> None:
    """Have every worker of the engine do at the same time what a long recording will have it do.

    That is a full window of silence, then as many of them together as the engine decodes. What is left of it
    in memory is the engine's working memory, and a long recording adds little.
    """
    can = engine.capabilities
    options = DecodingOptions(max_new_tokens=8)
    request = DecodeRequest(min(can.languages), Task.TRANSCRIBE, options, temperature=0.0)
    together = max(1, min(can.batch_windows, can.batch_rows // request.rows))
    silence = np.zeros(WINDOW_SAMPLES, dtype=np.float32)
    # One more than there are workers: an engine may keep something apart for a call that comes alone.
    start = Barrier(can.parallelism + 1)

    def once(number: int) -> None:
        start.wait()
        encoded = engine.encode(silence, full=True)
        if number < can.parallelism:
            engine.decode([(encoded, request)] * together)

    with ThreadPoolExecutor(start.parties, thread_name_prefix="warm-up") as pool:
        list(pool.map(once, range(start.parties)))
