"""What a hearing costs, found out with a model."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from scriba.engine.fake import FakeEngine
from scriba.engine.loading import EngineKind, load_engine
from scriba.engine.openvino.runtime import openvino_available
from scriba.engine.port import Decoded, DecodeRequest, Encoded
from scriba.engine.scheduler import Priority, Scheduler
from scriba.live.trying_out import try_out
from tests.speech import bundled


def test_it_is_what_a_worker_is_busy_for() -> None:
    engine = FakeEngine(cost=0.05)
    scheduler = Scheduler(2)
    try:
        cost = try_out(engine, scheduler)
        busy = scheduler.busy_seconds(Priority.LIVE)
    finally:
        scheduler.close()

    # An encoding for each, and decodings that may be done together.
    assert 0.07 < cost < 0.3
    assert busy >= 4 * cost
    assert all(request.options.beam_size == 1 for request in engine.requests)


@pytest.mark.parametrize("kind", [EngineKind.CTRANSLATE2, EngineKind.OPENVINO])
def test_a_real_model_writes_as_much_as_of_speech(kind: EngineKind, monkeypatch: pytest.MonkeyPatch) -> None:
    if kind is EngineKind.OPENVINO and not openvino_available():
        pytest.skip("openvino is not installed")
    engine = load_engine(bundled(), model="tiny.en", translates=False, kind=kind)
    scheduler = Scheduler(1)
    written: list[int] = []
    decode = engine.decode

    def spy(batch: Sequence[tuple[Encoded, DecodeRequest]]) -> list[Decoded]:
        results = decode(batch)
        written.extend(sum(len(phrase.tokens) for phrase in own.phrases) for own in results)
        return results

    monkeypatch.setattr(engine, "decode", spy)
    try:
        assert try_out(engine, scheduler) > 0
    finally:
        scheduler.close()
        engine.close()

    assert min(written) >= 20
