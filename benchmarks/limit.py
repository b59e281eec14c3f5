"""The limit: what each Whisper size must compute, what this machine can, and how far the best run is from it.

    python -m benchmarks.limit [--quick]

The best run is the fastest of Scriba's in results.json: run benchmarks.long_recording first.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tokenizers import Tokenizer

from benchmarks import machine_rates, results
from benchmarks.arguments import Arguments, parse, run
from benchmarks.recordings import material
from benchmarks.rounds import say
from benchmarks.tables import Column, Headline, Section
from benchmarks.weights import find_weights
from benchmarks.whisper_sizes import SIZES, WINDOW_SECONDS, floor_seconds, work

_BATCHES = (1, 16)
_COLUMNS = (
    Column("model", "model", "text"),
    Column("encoder", "encoder GMAC a s of sound", "number"),
    Column("decoder", "decoder GMAC a s of sound", "number"),
    Column("weights", "decoder weights MB", "megabytes"),
    Column("limit_1", "limit, one by one, x real time", "count"),
    Column("limit_16", "limit, 16 together, x real time", "count"),
    Column("best", "best run, x real time", "rate"),
    Column("share", "of the limit %", "percent"),
)


@dataclass(frozen=True, slots=True)
class Rates:
    """Multiply-adds a second by number format, and bytes a second. ``bfloat16`` None: not to be had here."""

    float32: float
    int8: float
    bfloat16: float | None
    read: float

    @property
    def fastest(self) -> float:
        return max(self.float32, self.int8, self.bfloat16 or 0.0)


def machine(rounds: int) -> Rates:
    """The machine's rates, each the median of ``rounds`` measurements taken in turn."""
    measures: dict[str, Callable[[], float | None]] = {
        "float32": machine_rates.float32_rate,
        "int8": machine_rates.int8_rate,
        "bfloat16": machine_rates.bfloat16_rate,
        "read": machine_rates.read_rate,
    }
    found: dict[str, list[float]] = {name: [] for name in measures}
    for _ in range(rounds):
        for name, measure_rate in measures.items():
            value = measure_rate()
            if value is not None:
                found[name].append(value)
    bfloat16 = median(found["bfloat16"]) if found["bfloat16"] else None
    return Rates(median(found["float32"]), median(found["int8"]), bfloat16, median(found["read"]))


def tokens_a_second() -> float:
    """Text tokens of English speech a second, over the recordings that are measured with."""
    tokenizer = Tokenizer.from_file(str(find_weights("tiny.en").folder / "tokenizer.json"))
    parts = [part for part in material() if part.text]
    count = sum(
        len(tokenizer.encode(" " + (part.text or ""), add_special_tokens=False).ids) for part in parts
    )
    return count / sum(part.seconds for part in parts)


def best_runs(path: Path) -> dict[str, float]:
    """Speed, in times real time, of Scriba's fastest long recording by model."""
    found: dict[str, float] = {}
    for section in results.sections(path):
        if section.name == "long_recording":
            for row in section.rows:
                if row["system"].startswith("scriba"):
                    found[row["model"]] = max(found.get(row["model"], 0.0), row["speed"])
    return found


def rows(rates: Rates, tokens: float, best: dict[str, float]) -> list[dict[str, object]]:
    """A row for each size."""
    found: list[dict[str, object]] = []
    for model, sizes in SIZES.items():
        needed = work(sizes)
        limits = {
            f"limit_{batch}": 1 / floor_seconds(needed, tokens, batch, rates.fastest, rates.read)
            for batch in _BATCHES
        }
        reached = best.get(model)
        found.append(
            {
                "model": model,
                "encoder": needed.window / WINDOW_SECONDS / 1e9,
                "decoder": tokens * needed.token / 1e9,
                "weights": needed.weights,
                "best": reached,
                "share": None if reached is None else reached / limits["limit_16"],
            }
            | limits
        )
    return found


def measure(arguments: Arguments) -> Section:
    """Rates of the machine, work of the models."""
    section = Section("limit", "The limit of this machine", _COLUMNS)
    say("Measuring how fast the machine multiplies and reads")
    rates = machine(arguments.rounds)
    tokens = tokens_a_second()
    best = best_runs(arguments.output)
    section.rows = rows(rates, tokens, best)
    bfloat16 = f"{rates.bfloat16 / 1e9:.0f} (OpenVINO)" if rates.bfloat16 else "not to be had here"
    section.notes.append(
        f"GMAC/s, {results.cores()} cores: float32 {rates.float32 / 1e9:.0f} (numpy), "
        f"int8 {rates.int8 / 1e9:.0f} "
        f"(onnxruntime), bfloat16 {bfloat16}; memory read at {rates.read / 1e9:.0f} GB/s. One GMAC is two "
        "GFLOP. The fastest format counts."
    )
    section.notes.append(
        f"Windows of 30 s full of speech, {tokens:.1f} text tokens a second of it (no timestamps), greedy; "
        "weights at a byte, cross-attention's cache at two bytes a number, both read from memory for every "
        "token. A model that stays in the processor's caches, or a context shorter than 30 s, can beat it."
    )
    if not best:
        section.notes.append("No best run: run benchmarks.long_recording first.")
    for row in section.rows:
        if isinstance(row["share"], float):
            finding = f"{100 * row['share']:.0f} % of what the machine could do"
            section.headlines.append(Headline("the fastest long recording", str(row["model"]), finding))
    return section


if __name__ == "__main__":
    sys.exit(run(measure, parse("limit", "What the machine could do at most, and how far the best run is.")))
