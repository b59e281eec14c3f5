"""Clips of 5 s that come at once: how many a second, and how long each waits.

    python -m benchmarks.together [--model NAME]... [--quick]

Against faster-whisper with a thread for each request, as a simple service around it would work.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import cycle, islice
from pathlib import Path

from benchmarks.arguments import Arguments, parse, run
from benchmarks.baselines import SEQUENTIAL, Baseline, BaselineProcess
from benchmarks.cuts import cut_clips, write_clips
from benchmarks.lineup import line_up
from benchmarks.recordings import utterances
from benchmarks.results import cores
from benchmarks.rounds import Measured, Run, interleave, percentile, say
from benchmarks.server import OverHttp
from benchmarks.systems import BASELINE, SCRIBA, SCRIBA_DEFAULT, System, ask, ask_together
from benchmarks.tables import Column, Headline, Section

COUNTS = (1, 4, 16, 64)
_QUICK_COUNTS, _QUICK_SPEECHES = (1, 4), 8
_SECONDS = 5.0
_WORKER_A_CORE = "faster-whisper, beam 1, a worker a core"
_COLUMNS = (
    Column("model", "model", "text"),
    Column("count", "at once", "count"),
    Column("system", "system", "text"),
    Column("throughput", "clips a s", "rate"),
    Column("span", "least to most", "rate"),
    Column("ratio", "x baseline", "ratio"),
    Column("p50", "p50 s", "seconds"),
    Column("p95", "p95 s", "seconds"),
)


def one_run(system: System, paths: Sequence[Path]) -> Mapping[str, float]:
    """Throughput, and percentiles of the latency. A clip that is refused ends the benchmark."""
    answers, seconds = ask_together(system, paths)
    latencies = [answer.seconds for answer in answers]
    return {
        "throughput": len(paths) / seconds,
        "p50": percentile(latencies, 0.5),
        "p95": percentile(latencies, 0.95),
    }


def measure(arguments: Arguments) -> Section:
    """Every model, every count, every system, interleaved."""
    section = Section("together", f"Clips of {_SECONDS:g} s that come at once, over HTTP", _COLUMNS)
    speeches = utterances()[:_QUICK_SPEECHES] if arguments.quick else utterances()
    with tempfile.TemporaryDirectory(prefix="scriba-bench-") as folder:
        clips = cut_clips(speeches, (_SECONDS,))[_SECONDS]
        paths = [path for path, _ in write_clips(Path(folder), clips, _SECONDS)]
        for model in arguments.models:
            with ExitStack() as stack:
                lineup = stack.enter_context(line_up(model, arguments, batched=False))
                spread = BaselineProcess("faster-whisper", lineup.weights.folder, workers=cores(), threads=1)
                stack.enter_context(spread)
                systems: dict[str, System] = {
                    BASELINE: lineup.systems[BASELINE],
                    _WORKER_A_CORE: Baseline(spread, SEQUENTIAL),
                    SCRIBA: lineup.systems[SCRIBA],
                    SCRIBA_DEFAULT: lineup.systems[SCRIBA_DEFAULT],
                }
                _measure_model(section, model, systems, paths, arguments)
    section.notes += [
        f"Baseline: {BASELINE}, one model on all cores, a thread for each request.",
        f"{len(paths)} different clips, used again where there are more at once.",
    ]
    return section


def _measure_model(
    section: Section, model: str, systems: Mapping[str, System], paths: Sequence[Path], arguments: Arguments
) -> None:
    for system in systems.values():
        ask(system, paths[0])
        if isinstance(system, OverHttp):
            for path in paths:
                system.prepare(path)
    for count in _QUICK_COUNTS if arguments.quick else COUNTS:
        say(f"{model}: {count} at once")
        chosen = list(islice(cycle(paths), count))
        runs: dict[str, Run] = {name: partial(one_run, system, chosen) for name, system in systems.items()}
        measured = interleave(runs, arguments.rounds)
        section.rows += rows(model, count, measured)
        section.headlines.append(headline(model, count, measured))


def rows(model: str, count: int, measured: Measured) -> list[dict[str, object]]:
    """A row for each system."""
    baseline = measured[BASELINE]["throughput"].median
    return [
        {
            "model": model,
            "count": count,
            "system": system,
            "throughput": series["throughput"].median,
            "span": series["throughput"].span,
            "ratio": series["throughput"].median / baseline,
            "p50": series["p50"].median,
            "p95": series["p95"].median,
        }
        for system, series in measured.items()
    ]


def headline(model: str, count: int, measured: Measured) -> Headline:
    """Throughput against the baseline's, greedy both."""
    own, base = measured[SCRIBA], measured[BASELINE]
    finding = (
        f"{own['throughput'].median / base['throughput'].median:.1f} times its throughput, "
        f"p95 {own['p95'].median:.2f} against {base['p95'].median:.2f} s"
    )
    clips = "1 clip" if count == 1 else f"{count} clips"
    return Headline(f"{clips} of {_SECONDS:g} s at once, beam 1", model, finding)


if __name__ == "__main__":
    sys.exit(run(measure, parse("together", "Clips that come at once: throughput and waiting.")))
