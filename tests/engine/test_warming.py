"""What an engine is made to do before the first user comes."""

import threading

from scriba.engine.fake import FakeEncoded, FakeEngine
from scriba.engine.port import WINDOW_SECONDS, Audio
from scriba.engine.warming import warm_up


class Meeting(FakeEngine):
    """Encodes only when so many calls of it are under way at once."""

    def __init__(self, workers: int) -> None:
        super().__init__(parallelism=workers)
        self.calls = threading.Barrier(workers + 1, timeout=10.0)
        self.seconds: list[float] = []

    def encode(self, audio: Audio, *, full: bool = False, short: bool = False) -> FakeEncoded:
        self.calls.wait()
        encoded = super().encode(audio, full=full, short=short)
        self.seconds.append(encoded.seconds)
        return encoded


def test_every_worker_decodes_a_full_batch() -> None:
    engine = FakeEngine(parallelism=3)
    warm_up(engine)
    rows = engine.requests[0].rows
    assert engine.batches == [engine.capabilities.batch_rows // rows] * 3


def test_all_workers_encode_at_once_and_one_more() -> None:
    engine = Meeting(workers=2)
    warm_up(engine)
    assert engine.seconds == [WINDOW_SECONDS] * 3
