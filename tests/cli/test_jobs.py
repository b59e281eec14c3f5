"""``scriba jobs`` and what ``scriba worker`` says when it cannot begin."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from scriba.cli import main
from tests.stores import open_stores

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def job_ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Three queued jobs in the database that the commands use, oldest first."""
    monkeypatch.setenv("SCRIBA_DATA_DIR", str(tmp_path))

    async def make() -> list[str]:
        async with open_stores(f"sqlite:///{tmp_path / 'scriba.db'}", tmp_path) as stores:
            return [(await stores.jobs.submit(await stores.new_job()))[0].id for _ in range(3)]

    return asyncio.run(make())


def test_listing_showing_stopping_and_trying_again(job_ids: list[str], capsys: Capture) -> None:
    assert main(["jobs", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == job_ids[::-1]
    assert [line.split()[1] for line in lines] == ["queued"] * 3
    assert main(["jobs", "cancel", job_ids[0], job_ids[1]]) == 0
    assert capsys.readouterr().out == f"{job_ids[0]}  cancelled\n{job_ids[1]}  cancelled\n"
    assert main(["jobs", "list", "--state", "cancelled", "--json", "--limit", "1"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["id"], row["state"]) == (job_ids[1], "cancelled")
    assert main(["jobs", "retry", job_ids[0]]) == 0
    capsys.readouterr()
    assert main(["jobs", "show", job_ids[0]]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["state"], shown["attempt"], shown["options"]) == ("queued", 0, {})


def test_what_cannot_be_is_said_in_one_line(job_ids: list[str], capsys: Capture) -> None:
    assert main(["jobs", "show", "nothing"]) == 1
    assert capsys.readouterr().err == "scriba: There is no job of that id.\n"
    assert main(["jobs", "retry", job_ids[0]]) == 1
    assert "The job is queued" in capsys.readouterr().err
    assert main(["jobs", "list", "--state", "lost"]) == 2


def test_one_job_that_cannot_be_stopped_keeps_nobody_from_the_others(
    job_ids: list[str], capsys: Capture
) -> None:
    assert main(["jobs", "cancel", job_ids[0], "nothing", job_ids[1], job_ids[1]]) == 1
    told = capsys.readouterr()
    assert told.out == f"{job_ids[0]}  cancelled\n{job_ids[1]}  cancelled\n"
    assert told.err == "scriba: nothing: There is no job of that id.\n"


def test_tasks_of_another_backend_are_imported(job_ids: list[str], tmp_path: Path, capsys: Capture) -> None:
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as database, database:
        database.execute("CREATE TABLE tasks (uuid, status, task_type, result, task_params, created_at)")
        row = ("a" * 36, "COMPLETED", "transcription", "[]", "{}", "2025-01-01 00:00:00")
        database.execute("INSERT INTO tasks VALUES (?,?,?,?,?,?)", row)
    assert main(["jobs", "import", str(other)]) == 0
    assert capsys.readouterr().out.startswith("1 tasks imported; 0 left out")
    assert main(["jobs", "show", "a" * 36]) == 0


@pytest.mark.parametrize("command", [["worker"], ["serve", "--port", "0"], ["jobs", "list"]])
def test_a_database_that_cannot_be_had_is_named(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("DB_URL", "postgresql://nobody:very-secret@127.0.0.1:1/none")
    assert main(command) in (1, 2)
    told = capsys.readouterr().err
    assert "does not answer" in told
    assert "Traceback" not in told
    assert "very-secret" not in told
    assert os.environ["DB_URL"]
