"""What a command found, as a table for the terminal, in markdown, and as JSON."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Kind = Literal["text", "seconds", "milliseconds", "rate", "ratio", "percent", "count", "megabytes", "number"]


@dataclass(frozen=True, slots=True)
class Column:
    """``key`` names the value in a row. A list of two numbers is shown as a span."""

    key: str
    heading: str
    kind: Kind = "number"


@dataclass(frozen=True, slots=True)
class Headline:
    """One figure for the short table: what was measured, of which model, and the finding in words."""

    what: str
    model: str
    finding: str


@dataclass(slots=True)
class Section:
    """Everything one command measured. ``rows`` hold numbers as they are: seconds, bytes, shares."""

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: list[dict[str, Any]] = field(default_factory=list)
    headlines: list[Headline] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Section:
        return cls(
            name=content["name"],
            title=content["title"],
            columns=tuple(Column(**column) for column in content["columns"]),
            rows=list(content["rows"]),
            headlines=[Headline(**headline) for headline in content["headlines"]],
            notes=list(content["notes"]),
        )


_SHOW: dict[str, Callable[[float], str]] = {
    "seconds": lambda value: f"{value:.2f}",
    "milliseconds": lambda value: f"{1000 * value:.0f}",
    "rate": lambda value: f"{value:.1f}",
    "ratio": lambda value: f"{value:.2f}",
    "percent": lambda value: f"{100 * value:.1f}",
    "count": lambda value: f"{value:.0f}",
    "megabytes": lambda value: f"{value / 1e6:.0f}",
    "number": lambda value: f"{value:.3g}",
}


def cell(value: Any, kind: Kind) -> str:
    """A value as people read it; "-" where there is none."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, str) or kind == "text":
        return str(value)
    if isinstance(value, list | tuple):
        return " to ".join(_SHOW[kind](one) for one in value)
    return _SHOW[kind](value)


def _cells(section: Section) -> list[list[str]]:
    return [[cell(row.get(column.key), column.kind) for column in section.columns] for row in section.rows]


def plain(section: Section) -> str:
    """For a terminal: columns aligned, notes under them."""
    headings = [column.heading for column in section.columns]
    rows = [headings, *_cells(section)]
    widths = [max(len(row[index]) for row in rows) for index in range(len(headings))]
    lines = ["  ".join(_aligned(row, section.columns, widths)).rstrip() for row in rows]
    lines.insert(1, "-" * max(map(len, lines)))
    return "\n".join([section.title, "", *lines, *(f"  {note}" for note in section.notes), ""])


def _aligned(row: Sequence[str], columns: Sequence[Column], widths: Sequence[int]) -> list[str]:
    return [
        text.ljust(width) if column.kind == "text" else text.rjust(width)
        for text, column, width in zip(row, columns, widths, strict=True)
    ]


def markdown(section: Section) -> str:
    """A heading, the table, and the notes as a list."""
    rule = ["---" if column.kind == "text" else "---:" for column in section.columns]
    rows = [[column.heading for column in section.columns], rule, *_cells(section)]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    notes = [f"- {note}" for note in section.notes]
    return "\n".join([f"## {section.title}", "", *lines, *(["", *notes] if notes else []), ""])


def headline_table(headlines: Sequence[Headline]) -> str:
    """A row for each thing measured, a column for each model, both in the order in which they come."""
    models = list(dict.fromkeys(headline.model for headline in headlines))
    found = {(headline.what, headline.model): headline.finding for headline in headlines}
    lines = [f"| | {' | '.join(models)} |", "|---|" + "---|" * len(models)]
    lines += [
        f"| {what} | {' | '.join(found.get((what, model), '-') for model in models)} |"
        for what in dict.fromkeys(headline.what for headline in headlines)
    ]
    return "\n".join(lines) + "\n"
