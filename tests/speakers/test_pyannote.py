"""The adapter for pyannote.audio without PyTorch: its protocol, with a pipeline that is none."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from scriba.domain.cancel import CancelToken
from scriba.domain.errors import CancelledByUserError, EngineError, ModelUnavailableError
from scriba.domain.speakers import SpeakerOptions, SpeakerTurn
from scriba.speakers.pyannote import PyannoteDiarizer, load_pipeline
from tests.speakers.voices import Threads
from tests.speech import beckett


class Turns:
    """What a pipeline answers: pyannote.core's ``Annotation``, as far as it is used."""

    def __init__(self, *turns: tuple[float, float, str]) -> None:
        self._turns = turns

    def labels(self) -> list[str]:
        return sorted({who for _, _, who in self._turns})

    def itertracks(self, *, yield_label: bool) -> list[tuple[Any, int, str]]:
        assert yield_label
        return [(SimpleNamespace(start=a, end=b), n, who) for n, (a, b, who) in enumerate(self._turns)]


@dataclass
class Pipeline:
    answer: Any
    asked: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, sound: dict[str, Any], *, hook: Any, **bounds: int) -> Any:
        self.asked.append({"samples": sound["waveform"].shape, "rate": sound["sample_rate"], **bounds})
        hook("segmentation", None, total=4, completed=2)
        return self.answer


@pytest.fixture(autouse=True)
def tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(from_numpy=lambda array: array))


def answer(*turns: tuple[float, float, str]) -> Any:
    labels = Turns(*turns).labels()
    return SimpleNamespace(speaker_diarization=Turns(*turns), speaker_embeddings=np.eye(8)[: len(labels)])


def test_turns_are_named_in_order_of_first_speaking() -> None:
    pipeline = Pipeline(answer((0.5, 2.0, "B"), (2.1, 3.0, "A"), (2.2, 2.6, "B")))
    told: list[float] = []
    turns = PyannoteDiarizer(lambda: pipeline).run(
        beckett(), SpeakerOptions(count=2), Threads(), CancelToken(), lambda done, _of: told.append(done)
    )
    assert turns == [
        SpeakerTurn(0.5, 2.0, "SPEAKER_00"),
        SpeakerTurn(2.1, 3.0, "SPEAKER_01"),
        SpeakerTurn(2.2, 2.6, "SPEAKER_00"),
    ]
    [asked] = pipeline.asked
    assert asked["rate"] == 16_000
    assert asked["num_speakers"] == 2
    assert told == pytest.approx([4.98], abs=0.02)


def test_bounds_are_handed_on() -> None:
    pipeline = Pipeline(answer())
    wish = SpeakerOptions(minimum=2, maximum=4)
    diarizer = PyannoteDiarizer(lambda: pipeline)
    assert diarizer.run(beckett(), wish, Threads(), CancelToken(), lambda _done, _of: None) == []
    assert (pipeline.asked[0]["min_speakers"], pipeline.asked[0]["max_speakers"]) == (2, 4)


def test_a_cancel_ends_it_at_the_next_batch() -> None:
    cancel = CancelToken()
    pipeline = Pipeline(answer((0.5, 2.0, "B")))

    def load() -> Any:
        cancel.cancel()
        return pipeline

    with pytest.raises(CancelledByUserError):
        PyannoteDiarizer(load).run(beckett(), SpeakerOptions(), Threads(), cancel, lambda _done, _of: None)


def test_another_version_of_the_package_is_named() -> None:
    diarizer = PyannoteDiarizer(lambda: Pipeline(SimpleNamespace()))
    with pytest.raises(EngineError, match="version 4"):
        diarizer.run(beckett(), SpeakerOptions(), Threads(), CancelToken(), lambda _done, _of: None)


@pytest.mark.skipif(
    importlib.util.find_spec("pyannote") is not None
    and importlib.util.find_spec("pyannote.audio") is not None,
    reason="pyannote.audio is installed here",
)
def test_without_the_package_the_extra_is_named() -> None:
    with pytest.raises(ModelUnavailableError, match=r"scriba\[pyannote\]"):
        load_pipeline("pyannote/speaker-diarization-community-1", None, "auto")
