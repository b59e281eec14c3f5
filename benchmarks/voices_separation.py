"""Voice from music: how much clearer, and what it does to the words.

    python -m benchmarks.voices_separation [SPEECH] [--music FOLDER] [--model NAME] [--clips N]
        [--against MODEL]

``SPEECH`` is a folder like ``../shared/speech``: clips of speech over music whose clean speech lies beside
them, music and noise without speech, and readings. ``--music`` is a folder of further music to lay under
readings. ``--against`` compares with another separation model, where it is installed (``htdemucs``: for
comparison only), on the clips with speech over music.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import sys
import time
import wave
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import jiwer
import numpy as np
from whisper_normalizer.english import EnglishTextNormalizer

from benchmarks.recordings import SHARED, Samples, read_samples
from benchmarks.rounds import say
from scriba.domain.cancel import CancelToken
from scriba.domain.events import Finished
from scriba.domain.media import SAMPLE_RATE
from scriba.domain.options import LanguagePolicy, SeparationOptions, TranscribeOptions
from scriba.separation.process import SeparationProcess
from scriba.server.composition import build_services
from scriba.server.separation import build_separation
from scriba.server.setting_sources import load_settings
from scriba.transcribe.port import Transcriber

_PLAIN = "as it is"
_LEVELS = (0.0, 5.0, 10.0)
_SEED = 5


@dataclass(frozen=True, slots=True)
class Clip:
    """``clean`` is the speech without what lies over it; ``group`` is what it is counted under."""

    name: str
    group: str
    sound: Samples
    clean: Samples | None
    text: str


def own_clips(folder: Path) -> Iterator[Clip]:
    """Clips that are there as they are: speech over music, and what holds no speech."""
    for row in _manifest(folder):
        path = folder / row["path"]
        if row["path"].startswith("noise-music/") and "_music" in path.stem:
            reading = next(folder.glob(f"librispeech*/{path.stem.split('_')[0]}.flac"), None)
            level = path.stem.split("_music")[1]
            clean = None if reading is None else read_samples(reading)
            yield Clip(path.name, f"given, {level}", read_samples(path), clean, row["text"])
        elif row["path"].startswith("noise-music/"):
            yield Clip(path.name, "no speech", read_samples(path), None, "")


def mixed_clips(folder: Path, music: Path | None, count: int) -> Iterator[Clip]:
    """Readings as they are, and over music at several levels."""
    rng = random.Random(_SEED)
    rows = [row for row in _manifest(folder) if row["path"].startswith("librispeech") and row.get("text")]
    rng.shuffle(rows)
    tunes = sorted(music.glob("*.wav")) if music else [folder / "noise-music" / "macroform-cold_day.flac"]
    sounds = [read_samples(path) for path in tunes]
    for index, row in enumerate(rows[:count]):
        clean = read_samples(folder / row["path"])
        tune = sounds[index % len(sounds)]
        under = np.resize(np.roll(tune, -rng.randrange(len(tune))), len(clean)).astype(np.float32)
        yield Clip(row["path"], "clean", clean, None, row["text"])
        for level in _LEVELS:
            ratio = float(clean @ clean) / max(float(under @ under), 1e-9) / 10 ** (level / 10)
            sound = clean + np.float32(np.sqrt(ratio)) * under
            yield Clip(row["path"], f"mixed, {level:.0f}dB", sound, clean, row["text"])


def si_sdr(estimate: Samples, reference: Samples) -> float:
    """Scale-invariant signal-to-distortion ratio in dB (Le Roux et al., 2019)."""
    length = min(len(estimate), len(reference))
    estimate, reference = estimate[:length] - estimate.mean(), reference[:length] - reference.mean()
    target = float(estimate @ reference) / float(reference @ reference) * reference
    error = estimate - target
    return float(10 * np.log10(float(target @ target) / max(float(error @ error), 1e-12)))


def voice_of(process: SeparationProcess, sound: Samples, model: str) -> tuple[Samples, float]:
    """The voice that the model finds, and the seconds it took, its process's start included."""
    started = time.perf_counter()
    with process.separate(_wav(sound), SeparationOptions(model), for_speech=True) as work:
        for _ in work.steps(CancelToken()):
            pass
        with wave.open(work.parts.voice, "rb") as file:
            raw = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    voice: Samples = raw.astype(np.float32) / np.float32(32767)
    return voice, time.perf_counter() - started


def text_of(transcriber: Transcriber, sound: Samples, options: TranscribeOptions) -> str:
    for event in transcriber.run(_wav(sound), options):
        if isinstance(event, Finished):
            return event.transcript.text
    raise RuntimeError("a transcription ended without a result")


def main() -> int:
    """Measure and print."""
    arguments = _arguments()
    normalise = EnglishTextNormalizer()
    settings = load_settings({"model": arguments.model, "model_fallback": None})
    plain = replace(settings.transcribe_options(), language=LanguagePolicy("en"))
    models = [settings.separation.model, *([arguments.against] if arguments.against else [])]
    process = build_separation(settings)
    for model in models:
        process.check(SeparationOptions(model))
    gains: dict[tuple[str, str], list[float]] = defaultdict(list)
    speeds: dict[str, list[tuple[float, float]]] = defaultdict(list)
    said: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    clips = [*own_clips(arguments.speech), *mixed_clips(arguments.speech, arguments.music, arguments.clips)]
    with _transcriber(settings) as transcriber, suppress(KeyboardInterrupt):  # what was measured is shown
        for number, clip in enumerate(clips, 1):
            reference = normalise(clip.text)
            for way in (_PLAIN, *models):
                if way == arguments.against and clip.clean is None:
                    continue
                separation = None if way == _PLAIN else SeparationOptions(way)
                text = normalise(text_of(transcriber, clip.sound, replace(plain, separation=separation)))
                said[clip.group, way].append((reference, text))
                if clip.clean is not None and way != _PLAIN:
                    voice, seconds = voice_of(process, clip.sound, way)
                    gains[clip.group, way].append(si_sdr(voice, clip.clean) - si_sdr(clip.sound, clip.clean))
                    speeds[way].append((len(clip.sound) / SAMPLE_RATE, seconds))
            say(f"{number}/{len(clips)} {clip.group}: {clip.name}")
    _print(said, gains, speeds, models, arguments.model)
    return 0


def _print(
    said: dict[tuple[str, str], list[tuple[str, str]]],
    gains: dict[tuple[str, str], list[float]],
    speeds: dict[str, list[tuple[float, float]]],
    models: list[str],
    model: str,
) -> None:
    print(f"\nWhisper {model}; WER in % (words in the references), SI-SDR gain of the voice in dB\n")
    print(
        "| clips | " + " | ".join([_PLAIN, *models]) + " | " + " | ".join(f"gain, {m}" for m in models) + " |"
    )
    print("|---" * (2 + 2 * len(models)) + "|")
    groups = list(dict.fromkeys(group for group, _ in said))
    music = [group for group in groups if group.startswith(("given", "mixed"))]
    for name, parts in [*((group, [group]) for group in groups), ("all with music", music)]:
        cells = [f"{name} ({len(said[parts[0], _PLAIN])})" if len(parts) == 1 else name]
        for way in (_PLAIN, *models):
            pairs = [pair for part in parts for pair in said[part, way]]
            cells.append(_rate(pairs))
        for way in models:
            found = [gain for part in parts for gain in gains.get((part, way), [])]
            cells.append(f"{np.mean(found):+.1f}" if found else "-")
        print("| " + " | ".join(cells) + " |")
    for way, runs in speeds.items():
        sound, seconds = sum(run[0] for run in runs), sum(run[1] for run in runs)
        length = sound / len(runs)
        print(f"\n{way}: {sound / seconds:.1f} times real time on clips of {length:.0f} s, start included")


def _rate(pairs: list[tuple[str, str]]) -> str:
    if not pairs:
        return "-"
    if not any(reference for reference, _ in pairs):
        return f"{sum(len(text.split()) for _, text in pairs)} words"
    spoken = [(reference, text) for reference, text in pairs if reference]
    rate = 100 * jiwer.wer([pair[0] for pair in spoken], [pair[1] for pair in spoken])
    return f"{rate:.2f} ({sum(len(pair[0].split()) for pair in spoken)})"


@contextmanager
def _transcriber(settings: object) -> Iterator[Transcriber]:
    services = build_services(settings)  # type: ignore[arg-type]
    try:
        yield services.transcriber
    finally:
        services.close()


def _wav(sound: Samples) -> io.BytesIO:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes((np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes())
    buffer.seek(0)
    return buffer


def _manifest(folder: Path) -> list[dict[str, str]]:
    lines = (folder / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.voices_separation", description=__doc__)
    parser.add_argument("speech", type=Path, nargs="?", default=SHARED)
    parser.add_argument("--music", type=Path)
    parser.add_argument("--model", default="base")
    parser.add_argument("--clips", type=int, default=20)
    parser.add_argument("--against")
    found = parser.parse_args()
    if not (found.speech / "manifest.jsonl").is_file():
        parser.exit(1, f"There is no speech to measure with in {found.speech}.\n")
    return found


if __name__ == "__main__":
    sys.exit(main())
