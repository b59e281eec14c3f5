"""Interleaving, percentiles, and the tables that people read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import pytest
from benchmarks.rounds import interleave, order, percentile
from benchmarks.tables import Column, Headline, Section, cell, headline_table, markdown, plain

from benchmarks import report, results


def section() -> Section:
    return Section(
        "clips",
        "Clips",
        (
            Column("system", "system", "text"),
            Column("p50", "ms", "milliseconds"),
            Column("wer", "%", "percent"),
        ),
        [{"system": "a", "p50": 0.1234, "wer": 0.05}, {"system": "longer", "p50": [1.0, 2.0]}],
        [Headline("a clip", "tiny.en", "2.0 times")],
        ["One."],
    )


def test_every_system_runs_in_every_round_and_none_always_first() -> None:
    ran: list[str] = []

    def one(name: str) -> Mapping[str, float]:
        ran.append(name)
        return {"seconds": float(len(ran))}

    systems = {name: (lambda name=name: one(name)) for name in "abc"}
    found = interleave(systems, 3, tell=lambda _: None)
    assert ran == list("abcbcacab")
    assert found["a"]["seconds"].values == (1.0, 6.0, 8.0)
    assert found["a"]["seconds"].median == 6.0
    assert found["a"]["seconds"].span == [1.0, 8.0]


def test_a_run_that_fails_is_not_left_out() -> None:
    def fail() -> Mapping[str, float]:
        raise RuntimeError("refused")

    with pytest.raises(RuntimeError, match="refused"):
        interleave({"a": fail}, 2, tell=lambda _: None)


def test_no_rounds_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 1, not 0"):
        interleave({}, 0)


def test_order_rotates() -> None:
    assert [order(["a", "b"], number) for number in range(3)] == [["a", "b"], ["b", "a"], ["a", "b"]]


@pytest.mark.parametrize(("share", "value"), [(0.5, 50), (0.95, 95), (1.0, 100), (0.0, 1)])
def test_percentile_is_the_nearest_rank(share: float, value: float) -> None:
    assert percentile([float(number) for number in range(100, 0, -1)], share) == value


def test_percentile_of_few_and_of_none() -> None:
    assert percentile([3.0, 1.0], 0.95) == 3.0
    assert math.isnan(percentile([], 0.5))


def test_cells() -> None:
    assert cell(0.1234, "milliseconds") == "123"
    assert cell([1.0, 2.5], "seconds") == "1.00 to 2.50"
    assert cell(0.051, "percent") == "5.1"
    assert cell(None, "ratio") == cell(math.nan, "ratio") == "-"


def test_plain_and_markdown_tables() -> None:
    lines = plain(section()).splitlines()
    assert lines[0] == "Clips"
    assert lines[4].split() == ["a", "123", "5.0"]
    assert lines[5].split() == ["longer", "1000", "to", "2000", "-"]
    page = markdown(section())
    assert "| system | ms | % |\n| --- | ---: | ---: |\n| a | 123 | 5.0 |" in page
    assert page.endswith("- One.\n")


def test_headlines_are_a_row_for_each_thing_and_a_column_for_each_model() -> None:
    table = headline_table(
        [Headline("x", "tiny", "1"), Headline("y", "base", "2"), Headline("x", "base", "3")]
    )
    assert table.splitlines() == ["| | tiny | base |", "|---|---|---|", "| x | 1 | 3 |", "| y | - | 2 |"]


def test_sections_are_kept_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "results.json"
    results.keep(section(), path, 5)
    other = section()
    other.name = "mix"
    results.keep(other, path, 5)
    again = section()
    again.rows = []
    results.keep(again, path, 1)
    assert [(one.name, len(one.rows)) for one in results.sections(path)] == [("clips", 0), ("mix", 2)]
    assert results.sections(path)[1].rows == other.rows
    measured = results.load(path)["sections"]["clips"]["measured"]
    assert measured["rounds"] == 1
    assert measured["machine"]["cores"] >= 1
    assert "2.0 times" in report.short(path)
    assert "## Clips" in report.page(path)


def test_the_table_goes_between_the_markers_and_nowhere_else() -> None:
    text = f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n"
    once = report.put_between(text, "new\n")
    assert once == f"before\n{report.BEGIN}\nnew\n{report.END}\nafter\n"
    assert report.put_between(once, "new") == once
    with pytest.raises(report.MarkerError):
        report.put_between("no markers", "new")


def test_readme_has_the_markers() -> None:
    text = report.README.read_text(encoding="utf-8")
    assert text.count(report.BEGIN) == text.count(report.END) == 1
