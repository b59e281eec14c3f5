"""Writes what was measured for people: ``benchmarks/results.md``, and the short table in README.

python -m benchmarks.report
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from benchmarks.results import RESULTS, ROOT, load, sections
from benchmarks.rounds import say
from benchmarks.tables import headline_table, markdown

PAGE = ROOT / "benchmarks" / "results.md"
README = ROOT / "README.md"
BEGIN, END = "<!-- benchmarks: written by make bench -->", "<!-- /benchmarks -->"


class MarkerError(Exception):
    """README has no place for the table."""


def where(content: dict[str, Any]) -> str:
    """The machine and the day of the section that was measured last, in a sentence."""
    latest = max((one["measured"] for one in content["sections"].values()), key=lambda one: str(one["when"]))
    machine = latest["machine"]
    instructions = ", ".join(machine["instructions"])
    return (
        f"Measured {latest['when'][:10]} on {machine['cores']} cores of {machine['processor']} "
        f"({instructions}), "
        f"{machine['memory_bytes'] / 2**30:.0f} GB, Python {machine['python']}, "
        f"Scriba {machine['packages']['scriba']} at {machine['commit'] or 'no commit'}."
    )


def page(path: Path) -> str:
    """Every table, in markdown."""
    lines = ["# Measured", "", where(load(path)), "Written by `make bench`; do not edit.", ""]
    return "\n".join([*lines, *(markdown(section) for section in sections(path))])


def short(path: Path) -> str:
    """What README shows."""
    headlines = [headline for section in sections(path) for headline in section.headlines]
    return "\n".join(
        [
            where(load(path)),
            "",
            "Scriba over HTTP against faster-whisper 1.2.1 (int8, beam 1) on the same weights, interleaved:",
            "",
            headline_table(headlines),
        ]
    )


def put_between(text: str, table: str) -> str:
    """The document with the table between the markers, whatever was there.

    Raises:
        MarkerError: a marker is missing.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise MarkerError(f"The document lacks {BEGIN} or {END}.")
    return f"{before}{BEGIN}\n{table.strip()}\n{END}{after}"


def main() -> int:
    """Write both documents from results.json."""
    if not sections(RESULTS):
        say("Nothing has been measured yet: run make bench.")
        return 1
    PAGE.write_text(page(RESULTS), encoding="utf-8")
    README.write_text(put_between(README.read_text(encoding="utf-8"), short(RESULTS)), encoding="utf-8")
    say(f"Wrote {PAGE.relative_to(ROOT)} and the table in {README.name}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
