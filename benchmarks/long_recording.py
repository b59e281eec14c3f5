"""A long recording over HTTP: how fast, and how many words are wrong.

python -m benchmarks.long_recording [--model NAME]... [--minutes 30] [--quick]
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.arguments import Arguments, parse, run
from benchmarks.lineup import line_up
from benchmarks.recordings import long_readings, material, wav_seconds, write_joined, write_wav
from benchmarks.rounds import Measured, Run, interleave, say
from benchmarks.scores import score_english
from benchmarks.systems import BASELINE, SCRIBA, SCRIBA_DEFAULT, System, ask
from benchmarks.tables import Column, Headline, Section

_COLUMNS = (
    Column("model", "model", "text"),
    Column("case", "recording", "text"),
    Column("system", "system", "text"),
    Column("seconds", "s", "seconds"),
    Column("span", "least to most", "seconds"),
    Column("speed", "x real time", "rate"),
    Column("ratio", "x baseline", "ratio"),
    Column("wer", "WER %", "percent"),
    Column("wer_span", "least to most", "percent"),
    Column("deletions", "deleted", "count"),
    Column("insertions", "inserted", "count"),
)


@dataclass(frozen=True, slots=True)
class Case:
    """Recordings that are transcribed one after the other, and their texts."""

    name: str
    recordings: tuple[tuple[Path, str], ...]

    @property
    def seconds(self) -> float:
        return sum(wav_seconds(path) for path, _ in self.recordings)


def cases(folder: Path, arguments: Arguments) -> list[Case]:
    """The long readings as they are, and one recording joined of everything."""
    readings = sorted(long_readings(), key=lambda speech: speech.seconds)
    chosen = readings[:1] if arguments.quick else readings
    as_they_are = tuple(
        (write_wav(folder / f"{speech.name}.wav", speech.samples), speech.text or "") for speech in chosen
    )
    joined = folder / "joined.wav"
    text = write_joined(joined, material(), 60 * arguments.minutes)
    return [
        Case(f"readings, {sum(speech.seconds for speech in chosen) / 60:.0f} min", as_they_are),
        Case(f"{arguments.minutes:g} min joined", ((joined, text),)),
    ]


def one_run(system: System, case: Case) -> Mapping[str, float]:
    """Time and errors of one system over one case. Scoring is not timed."""
    answers = [(said, ask(system, path)) for path, said in case.recordings]
    values = {"seconds": sum(answer.seconds for _, answer in answers)}
    score = score_english([(said, answer.text) for said, answer in answers])
    return values | (score.quantities() if score else {})


def rows(model: str, case: Case, measured: Measured) -> list[dict[str, object]]:
    """A row for each system, the baseline first."""
    baseline = measured[BASELINE]["seconds"].median
    found: list[dict[str, object]] = []
    for system, series in measured.items():
        seconds = series["seconds"]
        row: dict[str, object] = {
            "model": model,
            "case": case.name,
            "system": system,
            "audio_seconds": case.seconds,
            "seconds": seconds.median,
            "span": seconds.span,
            "speed": case.seconds / seconds.median,
            "ratio": baseline / seconds.median,
        }
        if "wer" in series:
            row |= {name: series[name].median for name in ("wer", "deletions", "insertions")}
            row["wer_span"] = series["wer"].span
        found.append(row)
    return found


def headlines(model: str, case: Case, measured: Measured) -> list[Headline]:
    """Ratio and error of Scriba, greedy and as it comes, beside the baseline's error."""
    base = measured[BASELINE]
    found: list[Headline] = []
    for system, how in ((SCRIBA, "beam 1"), (SCRIBA_DEFAULT, "as it comes")):
        series = measured[system]
        finding = f"{base['seconds'].median / series['seconds'].median:.1f} times its speed"
        if "wer" in series and "wer" in base:
            finding += f", WER {100 * series['wer'].median:.1f} against {100 * base['wer'].median:.1f} %"
        found.append(Headline(f"{case.name}, {how}", model, finding))
    return found


def measure(arguments: Arguments) -> Section:
    """Every model, every case, every system, interleaved."""
    section = Section("long_recording", "Long recordings over HTTP", _COLUMNS)
    with tempfile.TemporaryDirectory(prefix="scriba-bench-") as folder:
        every = cases(Path(folder), arguments)
        for model in arguments.models:
            with line_up(model, arguments) as lineup:
                _warm_up(list(lineup.systems.values()), every[0])
                for case in every:
                    say(f"{model}: {case.name}, {case.seconds:.0f} s")
                    runs: dict[str, Run] = {
                        name: partial(one_run, system, case) for name, system in lineup.systems.items()
                    }
                    measured = interleave(runs, arguments.rounds)
                    section.rows += rows(model, case, measured)
                    section.headlines += headlines(model, case, measured)
    section.notes.append(
        f"Baseline: {BASELINE} (1.2.1, int8, sequential, all cores), a process of its own, the same weights. "
        "WER with the field's English normaliser; medians over the rounds."
    )
    return section


def _warm_up(systems: Sequence[System], case: Case) -> None:
    shortest = min((path for path, _ in case.recordings), key=wav_seconds)
    for system in systems:
        ask(system, shortest)


if __name__ == "__main__":
    sys.exit(run(measure, parse("long_recording", "A long recording over HTTP: speed and word errors.")))
