"""English speech whose text is known, and recordings of any length made of it.

Recordings lie in ``../shared/speech`` beside the clone, if it is there; else they are the two that the
package ``moonshine-voice`` brings.
"""

from __future__ import annotations

import importlib.util
import json
import random
import wave
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from benchmarks.results import ROOT
from scriba.audio.decode import open_recording
from scriba.domain.media import SAMPLE_RATE

SHARED = ROOT.parent / "shared" / "speech"
PAUSE_SECONDS = 0.6
"""Silence between recordings that are joined."""
_SEED = 7
_TWO_CITIES = (
    "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of "
    "foolishness, it was the epoch of belief, it was the epoch of incredulity, it was the season of "
    "Light, it was the season of Darkness, it was the spring of hope, it was the winter of despair, we "
    "had everything before us, we had nothing before us, we were all going direct to Heaven, we were "
    "all going direct the other way. In short, the period was so far like the present period, that some "
    "of its noisiest authorities insisted on its being received, for good or for evil, in the "
    "superlative degree of comparison only."
)
_BECKETT = "Ever tried. Ever failed. No matter. Try again. Fail again. Fail better."
_TEXTS = {"two_cities": _TWO_CITIES}
"""What is said, where the manifest has only the beginning of it."""
_PACKAGED = (("two_cities.wav", _TWO_CITIES), ("beckett.wav", _BECKETT))

Samples = NDArray[np.float32]
"""Shape ``(samples,)``, 16 kHz mono, full scale ±1."""


class NoSpeechError(Exception):
    """There is nothing to measure with."""


@dataclass(frozen=True, slots=True)
class Speech:
    """Some speech and what is said in it; ``text`` None where that is not known."""

    name: str
    samples: Samples
    text: str | None
    speaker: str = ""

    @property
    def seconds(self) -> float:
        return len(self.samples) / SAMPLE_RATE


def long_readings() -> list[Speech]:
    """Readings of about a minute and more, the longest about seven."""
    return _from_manifest(("longform",)) or _from_package()


def utterances() -> list[Speech]:
    """Sentences of many speakers, 1 to 35 s each."""
    return _from_manifest(("librispeech-test-other", "librispeech-misc")) or _from_package()


def material() -> list[Speech]:
    """Everything that long recordings are joined from, no sentence in it twice."""
    readings = [speech for speech in long_readings() if not speech.name.startswith("ls_5spk")]
    known = {speech.name for speech in readings}
    return readings + [speech for speech in utterances() if speech.name not in known]


def read_samples(path: Path | str) -> Samples:
    """A whole file, decoded as the server decodes it."""
    with open_recording(Path(path)) as recording:
        return np.concatenate(list(recording.blocks()))


def join(parts: Sequence[Speech], seconds: float) -> Iterator[Speech]:
    """Parts in an order that is new each time round, whole, until they and the pauses last ``seconds``.

    Raises:
        NoSpeechError: there are no parts.
    """
    if not parts:
        raise NoSpeechError("There is no speech to join.")
    shuffle = random.Random(_SEED)
    total = 0.0
    while True:
        for part in shuffle.sample(list(parts), len(parts)):
            if total >= seconds:
                return
            total += part.seconds + PAUSE_SECONDS
            yield part


def write_joined(path: Path, parts: Sequence[Speech], seconds: float) -> str:
    """Write a WAV file of about this length, block by block; what is said in it."""
    texts: list[str] = []
    pause = np.zeros(int(PAUSE_SECONDS * SAMPLE_RATE), np.float32)
    with _wav(path) as file:
        for part in join(parts, seconds):
            file.writeframes(_pcm(part.samples))
            file.writeframes(_pcm(pause))
            texts.append(part.text or "")
    return " ".join(texts)


def write_wav(path: Path, samples: Samples) -> Path:
    """16-bit mono PCM at 16 kHz."""
    with _wav(path) as file:
        file.writeframes(_pcm(samples))
    return path


def wav_seconds(path: Path) -> float:
    """Length of a WAV file."""
    with wave.open(str(path), "rb") as file:
        return file.getnframes() / file.getframerate()


def write_repeated_opus(path: Path, samples: Samples, seconds: float) -> None:
    """An Ogg Opus file of at least this length: the samples encoded once, their packets repeated."""
    with av.open(str(path), "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=SAMPLE_RATE)
        stream.layout = "mono"
        stream.bit_rate = 24_000
        frame = av.AudioFrame.from_ndarray(_as_int16(samples)[np.newaxis], format="s16", layout="mono")
        frame.sample_rate = SAMPLE_RATE
        packets = [*stream.encode(frame), *stream.encode(None)]
        kept = [(bytes(packet), int(packet.duration or 0)) for packet in packets]
        base = packets[0].time_base
        position, end = 0, round(seconds / float(base))
        while position < end:
            for content, duration in kept:
                packet = av.Packet(content)
                packet.stream = stream
                packet.time_base = base
                packet.pts = packet.dts = position
                packet.duration = duration
                container.mux(packet)
                position += duration


def _wav(path: Path) -> wave.Wave_write:
    file = wave.open(str(path), "wb")  # noqa: SIM115 - the callers close it
    file.setnchannels(1)
    file.setsampwidth(2)
    file.setframerate(SAMPLE_RATE)
    return file


def _as_int16(samples: Samples) -> NDArray[np.int16]:
    scaled: NDArray[np.int16] = np.clip(np.rint(samples * 32767), -32768, 32767).astype(np.int16)
    return scaled


def _pcm(samples: Samples) -> bytes:
    return _as_int16(samples).tobytes()


@cache
def _manifest() -> tuple[dict[str, Any], ...]:
    path = SHARED / "manifest.jsonl"
    if not path.is_file():
        return ()
    return tuple(json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())


def _from_manifest(folders: Sequence[str]) -> list[Speech]:
    rows = [row for row in _manifest() if row["path"].split("/")[0] in folders and row.get("text")]
    return [
        Speech(
            name=Path(row["path"]).stem,
            samples=read_samples(SHARED / row["path"]),
            text=_TEXTS.get(Path(row["path"]).stem, row["text"]),
            speaker=(row.get("speakers") or [Path(row["path"]).stem])[0],
        )
        for row in rows
        if row.get("language") == "en"
    ]


def _from_package() -> list[Speech]:
    spec = importlib.util.find_spec("moonshine_voice")
    folders = [Path(folder) for folder in (spec.submodule_search_locations or ())] if spec else []
    found = [
        Speech(Path(name).stem, read_samples(folder / "assets" / name), text, Path(name).stem)
        for folder in folders
        for name, text in _PACKAGED
        if (folder / "assets" / name).is_file()
    ]
    if not found:
        raise NoSpeechError(
            "There is no speech to measure with: put recordings into ../shared/speech, or install "
            "moonshine-voice (make bench does)."
        )
    return found
