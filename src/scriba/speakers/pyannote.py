"""Who speaks when, by ``pyannote.audio``: for those who have its token and PyTorch (the extra ``pyannote``).

The whole recording is held in memory while it runs, 64 kB a second, as ``pyannote.audio`` wants it. It
computes on threads of its own, one recording at a time, and not by leave of the scheduler.
"""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scriba.audio.decode import DecodeLimits, open_recording
from scriba.domain.cancel import CancelToken
from scriba.domain.errors import EngineError, ModelUnavailableError
from scriba.domain.media import SAMPLE_RATE
from scriba.domain.speakers import SpeakerOptions, SpeakerTurn
from scriba.speakers.clips import read_clip, silent_clip
from scriba.speakers.clustering import normalised
from scriba.speakers.naming import Known, People, names_of, turns
from scriba.speakers.port import Source, Steps, Tell
from scriba.speakers.timeline import Stretch
from scriba.speakers.windows import PAUSE_SECONDS

_CHECK_SECONDS = 0.1


def load_pipeline(name: str, token: str | None, device: str) -> Any:
    """A pipeline of ``pyannote.audio``, from the hub or its cache.

    Args:
        device: ``cpu``, ``cuda`` or ``auto``.

    Raises:
        ModelUnavailableError: the package is not installed, or the hub does not give the pipeline.
    """
    if importlib.util.find_spec("pyannote") is None or importlib.util.find_spec("pyannote.audio") is None:
        raise ModelUnavailableError(
            "Telling speakers apart is set to pyannote.audio, which is not installed. "
            "Install scriba[pyannote], or set SCRIBA_SPEAKERS__ENGINE=onnx.",
            field="model",
        )
    import torch
    from pyannote.audio import Pipeline

    try:
        pipeline = Pipeline.from_pretrained(name, token=token)
    except Exception as error:  # the hub's client raises many kinds
        raise ModelUnavailableError(
            f"The pipeline {name!r} could not be had from the model hub. Accept its conditions there, set "
            "HF_TOKEN, and check the network.",
            field="model",
        ) from error
    if pipeline is None:
        raise ModelUnavailableError(
            f"The hub does not give the pipeline {name!r} to this token. Accept its conditions there.",
            field="model",
        )
    if device == "cuda" or (device == "auto" and torch.cuda.is_available()):
        pipeline.to(torch.device("cuda"))
    return pipeline


class PyannoteDiarizer:
    """Implements ``scriba.speakers.port.Diarizer``.

    Args:
        load: makes the pipeline, once, when it is first needed.
    """

    def __init__(self, load: Callable[[], Any], limits: DecodeLimits | None = None) -> None:
        self._load = load
        self._limits = limits or DecodeLimits()
        self._pipeline: Any = None
        self._lock = threading.Lock()

    def run(
        self,
        source: Source,
        options: SpeakerOptions,
        steps: Steps,  # noqa: ARG002 - it computes on threads of its own
        cancel: CancelToken,
        tell: Tell,
    ) -> list[SpeakerTurn]:
        with open_recording(source, self._limits) as recording:
            audio = np.concatenate(list(recording.blocks(cancel)))
        while not self._lock.acquire(timeout=_CHECK_SECONDS):
            cancel.check()
        try:
            cancel.check()
            if self._pipeline is None:
                self._pipeline = self._load()
            known = [
                Known(one.name, self._voice(read_clip(one, cancel), one.name, cancel))
                for one in options.known
            ]
            found, people = self._apply(audio, _bounds(options), cancel, tell)
        finally:
            self._lock.release()
        return turns(found, names_of(people, found, known), pause=PAUSE_SECONDS)

    def _voice(self, audio: NDArray[np.float32], name: str, cancel: CancelToken) -> NDArray[np.float32]:
        _, people = self._apply(audio, {"num_speakers": 1}, cancel, lambda _done, _of: None)
        if not len(people):
            raise silent_clip(name)
        voice: NDArray[np.float32] = people.centroids[0]
        return voice

    def _apply(
        self, audio: NDArray[np.float32], bounds: dict[str, int], cancel: CancelToken, tell: Tell
    ) -> tuple[list[Stretch], People]:
        import torch

        seconds = len(audio) / SAMPLE_RATE

        def hook(_step: str, *_: Any, total: int = 0, completed: int = 0, **__: Any) -> None:
            # Called after each batch: the only place where the pipeline can be stopped.
            cancel.check()
            if total:
                tell(seconds * completed / total, seconds)

        sound = {"waveform": torch.from_numpy(audio)[None], "sample_rate": SAMPLE_RATE}
        output = self._pipeline(sound, hook=hook, **bounds)
        annotation = getattr(output, "speaker_diarization", None)
        if annotation is None:
            raise EngineError("pyannote.audio answered in a form that is not known; version 4 is wanted.")
        labels = list(annotation.labels())
        found = [
            Stretch(round(turn.start, 3), round(turn.end, 3), labels.index(label))
            for turn, _, label in annotation.itertracks(yield_label=True)
        ]
        vectors = output.speaker_embeddings
        if vectors is None or not len(labels):
            vectors = np.zeros((len(labels), 1))
        centroids = normalised(np.nan_to_num(np.asarray(vectors, np.float32)))
        return sorted(found, key=lambda one: (one.start, one.end, one.group)), People(centroids)


def _bounds(options: SpeakerOptions) -> dict[str, int]:
    given = {
        "num_speakers": options.count,
        "min_speakers": options.minimum,
        "max_speakers": options.maximum,
    }
    return {name: value for name, value in given.items() if value is not None}
