"""Voice activity against references, beside silero-vad's own code.

    python -m benchmarks.voices_activity [SPEECH] [--silero PYTHON]

``SPEECH`` is a folder as ``../shared/speech`` is; every RTTM in it is a reference. ``--silero`` is a Python
that has ``silero-vad`` (which needs torch, and so is nothing that Scriba installs); both get the same samples
and the same options.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.recordings import SHARED, Samples, read_samples
from scriba.audio.speech import SpeechDetector
from scriba.domain.media import SAMPLE_RATE
from scriba.domain.options import VadOptions

_STEP = 0.01
_COLLARS = (0.0, 0.25)
OPTIONS = {
    "Scriba's own": {"min_silence_duration_ms": 500, "speech_pad_ms": 400},
    "silero's own": {"min_silence_duration_ms": 100, "speech_pad_ms": 30},
}
_WORKER = """
import json, sys, time
import numpy as np, torch
from silero_vad import get_speech_timestamps, load_silero_vad
torch.set_num_threads(1)
model = load_silero_vad(onnx=False)
for line in sys.stdin:
    order = json.loads(line)
    samples = torch.from_numpy(np.load(order["file"]))
    started = time.perf_counter()
    found = get_speech_timestamps(
        samples, model, sampling_rate=16000, min_speech_duration_ms=250, **order["options"]
    )
    took = time.perf_counter() - started
    print(json.dumps({"regions": [[one["start"], one["end"]] for one in found], "seconds": took}), flush=True)
"""

Regions = list[tuple[float, float]]


def reference(path: Path) -> Regions:
    """Stretches of an RTTM in which anybody speaks, in seconds."""
    turns = sorted(
        (float(fields[3]), float(fields[3]) + float(fields[4]))
        for line in path.read_text(encoding="utf-8").splitlines()
        if (fields := line.split()) and fields[0] == "SPEAKER"
    )
    joined: Regions = []
    for start, end in turns:
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def own_regions(samples: Samples, options: dict[str, int]) -> Regions:
    detector = SpeechDetector(VadOptions(**options))  # type: ignore[arg-type]
    found = []
    for start in range(0, len(samples), SAMPLE_RATE):
        found.extend(detector.push(samples[start : start + SAMPLE_RATE]))
    found.extend(detector.finish())
    return [(one.start / SAMPLE_RATE, one.end / SAMPLE_RATE) for one in found]


class Errors:
    """Seconds missed, falsely found and spoken, added up."""

    def __init__(self) -> None:
        self.missed = self.false = self.spoken = self.took = self.sound = 0.0

    def add(self, truth: Regions, found: Regions, seconds: float, collar: float) -> None:
        true, heard = _mask(truth, seconds), _mask(found, seconds)
        counted = np.ones(len(true), bool)
        for edge in (at for region in truth for at in region):
            counted[
                max(0, int((edge - collar) / _STEP)) : int(np.ceil((edge + collar) / _STEP))
            ] &= not collar
        self.missed += _STEP * float((true & ~heard & counted).sum())
        self.false += _STEP * float((~true & heard & counted).sum())
        self.spoken += _STEP * float((true & counted).sum())

    def shown(self) -> str:
        total = 100 * (self.missed + self.false) / self.spoken
        return (
            f"{total:.1f} (missed {100 * self.missed / self.spoken:.1f}, "
            f"false {100 * self.false / self.spoken:.1f})"
        )


def _mask(regions: Iterable[tuple[float, float]], seconds: float) -> NDArray[np.bool_]:
    mask = np.zeros(int(np.ceil(seconds / _STEP)), bool)
    for start, end in regions:
        mask[round(start / _STEP) : round(end / _STEP)] = True
    return mask


class Silero:
    """silero-vad's own code in a process of another Python."""

    def __init__(self, python: str) -> None:
        self._process = subprocess.Popen(
            [python, "-c", _WORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def regions(self, file: Path, options: dict[str, int]) -> tuple[Regions, float]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"file": str(file), "options": options}) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        regions = [(start / SAMPLE_RATE, end / SAMPLE_RATE) for start, end in answer["regions"]]
        return regions, float(answer["seconds"])

    def close(self) -> None:
        self._process.communicate()


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="benchmarks.voices_activity", description=__doc__)
    parser.add_argument("speech", type=Path, nargs="?", default=SHARED)
    parser.add_argument("--silero", metavar="PYTHON")
    arguments = parser.parse_args()
    files = [(path, path.with_suffix(".flac")) for path in sorted(arguments.speech.glob("*/*.rttm"))]
    files = [(rttm, sound) for rttm, sound in files if sound.is_file()]
    if not files:
        parser.exit(1, f"There is no RTTM with its recording in {arguments.speech}.\n")
    silero = Silero(arguments.silero) if arguments.silero else None
    errors: dict[tuple[str, str, str, float], Errors] = {}
    speeds: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for rttm, path in files:
            samples, truth = read_samples(path), reference(rttm)
            seconds = len(samples) / SAMPLE_RATE
            saved = Path(folder) / "samples.npy"
            np.save(saved, samples)
            for name, options in OPTIONS.items():
                started = time.perf_counter()
                found = {"Scriba": (own_regions(samples, options), time.perf_counter() - started)}
                if silero is not None:
                    found["silero-vad"] = silero.regions(saved, options)
                for system, (regions, took) in found.items():
                    speed = speeds.setdefault(system, [0.0, 0.0])
                    speed[0], speed[1] = speed[0] + seconds, speed[1] + took
                    for collar in _COLLARS:
                        for group in (path.parent.name, "all"):
                            one = errors.setdefault((group, name, system, collar), Errors())
                            one.add(truth, regions, seconds, collar)
    if silero is not None:
        silero.close()
    print(f"Error of speech and non-speech in % of speech, {len(files)} recordings\n")
    print("| recordings | options | system | collar 0 | collar 0.25 s |\n|---|---|---|---|---|")
    for group, name, system in dict.fromkeys(key[:3] for key in errors):
        cells = [errors[group, name, system, collar].shown() for collar in _COLLARS]
        print(f"| {group} | {name} | {system} | {' | '.join(cells)} |")
    for system, (sound, took) in speeds.items():
        print(f"\n{system}: {sound / took:.0f} times real time")
    return 0


if __name__ == "__main__":
    sys.exit(main())
