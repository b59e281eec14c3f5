"""Documentation that repeats what the code says is compared with it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scriba.domain.errors import CancelledByUserError, ScribaError
from scriba.doors.errors import TABLE
from scriba.doors.jobs.wire import JobForm
from scriba.formats import Format
from scriba.models.catalogue import ENTRIES, SAME_MODEL
from scriba.server.job_settings import JobSettings

DOCS = Path(__file__).resolve().parents[2] / "docs"
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (DOCS / "errors.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("|")
]


# Whoever cancelled is not there to read the answer.
@pytest.mark.parametrize("kind", [kind for kind in TABLE if kind is not CancelledByUserError])
def test_every_error_is_in_its_table(kind: type[ScribaError]) -> None:
    row = TABLE[kind]
    found = [cells[2:] for cells in ROWS if cells[1] == f"`{kind.code}`"]
    assert found == [[str(row.status), str(row.openai_status)]]


def test_no_error_is_in_the_table_that_does_not_exist() -> None:
    codes = {cells[1].strip("`") for cells in ROWS if cells[2:] and cells[2].isdigit()}
    assert codes == {kind.code for kind in TABLE} - {CancelledByUserError.code}


@pytest.mark.parametrize("name", sorted(JobForm.model_fields))
def test_every_field_of_an_order_is_described(name: str) -> None:
    assert f"`{name}`" in (DOCS / "jobs.md").read_text(encoding="utf-8")


def test_the_lease_is_the_one_there_is() -> None:
    seconds = JobSettings().lease_seconds
    text = (DOCS / "scale.md").read_text(encoding="utf-8")
    assert f"`SCRIBA_JOBS__LEASE_SECONDS` ({seconds:g})" in text


@pytest.mark.parametrize("fmt", Format)
def test_every_format_is_described_with_its_suffix(fmt: Format) -> None:
    page = (DOCS / "formats.md").read_text(encoding="utf-8")
    assert re.search(rf"^\| `{fmt.value}` \| `{re.escape(fmt.extension)}` \|", page, re.MULTILINE)


def test_every_model_is_named() -> None:
    page = (DOCS / "models.md").read_text(encoding="utf-8")
    names = {entry.name for entry in ENTRIES} | set(SAME_MODEL)
    missing = [name for name in names if f"`{name}`" not in page]
    # tiny.en and its like are named by their rule.
    assert [name for name in missing if not (name.endswith(".en") and f"`{name[:-3]}`" in page)] == []
