"""Single clips over HTTP, one at a time: how long until the text is there.

    python -m benchmarks.clips [--model NAME]... [--quick]

Clips are cut at pauses out of read sentences. Some are timed, in every round; all of them are scored once.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from statistics import fmean

from benchmarks.arguments import Arguments, parse, run
from benchmarks.cuts import cut_clips, write_clips
from benchmarks.lineup import Lineup, line_up
from benchmarks.recordings import Speech, utterances
from benchmarks.rounds import Measured, Run, interleave, percentile, say
from benchmarks.scores import Score, score_english
from benchmarks.server import OverHttp
from benchmarks.systems import BASELINE, SCRIBA, SCRIBA_DEFAULT, System, ask
from benchmarks.tables import Column, Headline, Section

_TIMED = 10
_QUICK_LENGTHS, _QUICK_SPEECHES, _QUICK_TIMED = (3, 10), 8, 2
_COLUMNS = (
    Column("model", "model", "text"),
    Column("length", "s of clip", "count"),
    Column("system", "system", "text"),
    Column("p50", "ms", "milliseconds"),
    Column("span", "least to most", "milliseconds"),
    Column("p95", "p95 ms", "milliseconds"),
    Column("ratio", "x baseline", "ratio"),
    Column("wer", "WER %", "percent"),
    Column("deletions", "deleted", "count"),
    Column("insertions", "inserted", "count"),
    Column("runaways", "runaways", "count"),
    Column("clips", "clips scored", "count"),
)
Clips = list[tuple[Path, Speech]]


def one_run(system: System, clips: Clips) -> Mapping[str, float]:
    """Median and 95th percentile of the latency over the clips, one at a time."""
    latencies = [ask(system, path).seconds for path, _ in clips]
    return {"p50": percentile(latencies, 0.5), "p95": percentile(latencies, 0.95)}


def spread(clips: Clips, count: int) -> Clips:
    """So many of the clips, taken evenly over all of them, and so over the speakers."""
    step = max(1, len(clips) // count)
    return clips[::step][:count]


def measure(arguments: Arguments) -> Section:
    """Every model, every length, every system, interleaved."""
    section = Section("clips", "Single clips over HTTP", _COLUMNS)
    lengths = _QUICK_LENGTHS if arguments.quick else (2, 3, 5, 10, 20)
    speeches = utterances()[:_QUICK_SPEECHES] if arguments.quick else utterances()
    with tempfile.TemporaryDirectory(prefix="scriba-bench-") as folder:
        cut = cut_clips(speeches, lengths)
        every = {length: write_clips(Path(folder), clips, length) for length, clips in cut.items() if clips}
        for model in arguments.models:
            with line_up(model, arguments) as lineup:
                for length, clips in every.items():
                    _measure_length(section, lineup, model, length, clips, arguments)
    section.notes.append(
        f"Baseline: {BASELINE}. Times are medians over the rounds of the median clip of a round. A clip "
        "lasts 0.8 to 1.1 times what its row says."
    )
    section.notes.append(
        "WER is over all clips of a length, once. The words of a clip come from aligning the reference to "
        "the sound, which adds errors of its own, the same for every system. A runaway has more than twice "
        "the words that were said, and five."
    )
    return section


def _measure_length(
    section: Section, lineup: Lineup, model: str, length: float, clips: Clips, arguments: Arguments
) -> None:
    scored = clips[:_QUICK_TIMED] if arguments.quick else clips
    timed = spread(scored, _QUICK_TIMED if arguments.quick else _TIMED)
    mean = fmean(clip.seconds for _, clip in timed)
    say(f"{model}: clips of {length:g} s ({mean:.1f} s on average), {len(timed)} timed, {len(scored)} scored")
    for system in lineup.systems.values():
        if isinstance(system, OverHttp):
            for path, _ in scored:
                system.prepare(path)
    scores = {name: _score(system, scored) for name, system in lineup.systems.items()}
    runs: dict[str, Run] = {name: partial(one_run, system, timed) for name, system in lineup.systems.items()}
    measured = interleave(runs, arguments.rounds)
    section.rows += rows(model, length, measured, scores, len(scored))
    section.headlines += headlines(model, length, measured, scores)


def _score(system: System, clips: Clips) -> Score | None:
    return score_english([(clip.text, ask(system, path).text) for path, clip in clips])


def rows(
    model: str, length: float, measured: Measured, scores: Mapping[str, Score | None], clips: int
) -> list[dict[str, object]]:
    """A row for each system."""
    baseline = measured[BASELINE]["p50"].median
    found: list[dict[str, object]] = []
    for system, series in measured.items():
        score = scores[system]
        found.append(
            {
                "model": model,
                "length": length,
                "system": system,
                "p50": series["p50"].median,
                "span": series["p50"].span,
                "p95": series["p95"].median,
                "ratio": baseline / series["p50"].median,
                "clips": clips,
            }
            | (score.quantities() if score else {})
        )
    return found


def headlines(
    model: str, length: float, measured: Measured, scores: Mapping[str, Score | None]
) -> list[Headline]:
    """How many times lower the latency is."""
    base, base_score = measured[BASELINE]["p50"].median, scores[BASELINE]
    found: list[Headline] = []
    for system, how in ((SCRIBA, "beam 1"), (SCRIBA_DEFAULT, "as it comes")):
        latency, score = measured[system]["p50"].median, scores[system]
        finding = f"{1000 * latency:.0f} ms, {base / latency:.1f} times sooner"
        if score and base_score:
            finding += f", WER {100 * score.wer:.1f} against {100 * base_score.wer:.1f} %"
        found.append(Headline(f"a clip of {length:g} s, {how}", model, finding))
    return found


if __name__ == "__main__":
    sys.exit(run(measure, parse("clips", "Single clips over HTTP: latency and word errors.")))
