"""Who speaks in live speech: how often what is told at once is right, and the error of the last word on it.

    python -m benchmarks.voices_live [FOLDER] [--after SECONDS] [--hop SECONDS]

``FOLDER`` as for ``benchmarks.voices_speakers``. On virtual time: sound comes in steps of 0.1 s, and a window
is examined at once. "Told" asks of each 0.1 s in which somebody speaks, by the reference, who it was, so many
seconds after it ended (half of all words settle within 0.75 s); one name is told, so of two at once one is
missed. "In the end" is the diarization error rate of the turns that the session ends with.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from benchmarks.recordings import SHARED
from benchmarks.voices_speakers import COLLARS, Clip, Tally, clips, count
from scriba.audio.decode import open_recording
from scriba.domain.cancel import CancelToken
from scriba.domain.speakers import SpeakerOptions, SpeakerTurn
from scriba.formats.rttm import write_rttm
from scriba.models.speaker_model import SpeakerModelStore
from scriba.server.settings import Settings
from scriba.speakers.live import LiveSpeakers
from scriba.speakers.networks import OnnxNetworks
from scriba.speakers.voices import examine

STEP = 0.1
_RATE = 16_000


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="?", type=Path, default=SHARED)
    parser.add_argument("--after", type=float, default=0.8)
    parser.add_argument("--hop", type=float, default=1.0, help="seconds from window to window at least")
    chosen = parser.parse_args()
    found = clips(chosen.folder) if chosen.folder.is_dir() else []
    if not found:
        parser.exit(1, f"{chosen.folder} has no recordings with an RTTM beside them.\n")
    networks = OnnxNetworks(SpeakerModelStore(Settings().data_dir / "models").ensure().path)
    groups: dict[str, list[Clip]] = {}
    for clip in found:
        groups.setdefault(clip.path.parent.name, []).append(clip)
    for name, group in groups.items():
        told, final = Tally(), Tally()
        began = time.process_time()
        for clip in group:
            labels, turns = _listen(clip, networks, chosen.after, chosen.hop)
            count(told, clip, "".join(write_rttm(labels)))
            count(final, clip, "".join(write_rttm(turns)))
        worked = time.process_time() - began
        for what, tally in (("told", told), ("in the end", final)):
            rates = "  ".join(f"{collar} {100 * tally.rate(collar):5.1f} %" for collar in COLLARS)
            print(f"{name}, {what:12} {rates}  speakers {' '.join(tally.found)}", flush=True)
        seconds = sum(clip.seconds for clip in group)
        print(f"  {seconds:.0f} s of sound took {worked:.1f} s of processor time")


def _listen(
    clip: Clip, networks: OnnxNetworks, after: float, hop: float
) -> tuple[list[SpeakerTurn], list[SpeakerTurn]]:
    """What was told, bit by bit, and the turns in the end."""
    with open_recording(clip.path) as recording:
        audio = np.concatenate(list(recording.blocks()))
    spoken = _spoken(clip, len(audio) / _RATE)
    speakers = LiveSpeakers(SpeakerOptions())
    labels: list[SpeakerTurn] = []
    step, late = round(STEP * _RATE), round(after / STEP)
    for index in range(-(-len(audio) // step) + late):
        for sample, window in speakers.push(audio[index * step : (index + 1) * step]):
            if (sample + len(window)) / _RATE - speakers.examined >= hop:
                speakers.take(examine(networks, sample, window), len(window))
        asked = index - late
        if asked >= 0 and asked < len(spoken) and spoken[asked]:
            start, end = asked * STEP, (asked + 1) * STEP
            who = speakers.at(start, end)
            if who is not None and labels and labels[-1].speaker == who and labels[-1].end >= start - 1e-6:
                labels[-1] = SpeakerTurn(labels[-1].start, end, who)
            elif who is not None:
                labels.append(SpeakerTurn(start, end, who))
    rest = speakers.rest()
    if rest is not None:
        speakers.take(examine(networks, *rest), len(rest[1]))
    return labels, speakers.finish(CancelToken())


def _spoken(clip: Clip, seconds: float) -> list[bool]:
    """Of each step whether somebody speaks in the middle of it."""
    spans = [
        (float(parts[3]), float(parts[3]) + float(parts[4]))
        for line in clip.rttm.read_text("utf-8").splitlines()
        if len(parts := line.split()) > 4
    ]
    middles = ((index + 0.5) * STEP for index in range(round(seconds / STEP)))
    return [any(start <= middle < end for start, end in spans) for middle in middles]


if __name__ == "__main__":
    main()
