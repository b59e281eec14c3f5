"""Taking over another backend's tasks."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from scriba.domain.errors import InvalidOptionError
from scriba.domain.job import JobState
from scriba.jobs.importing import import_file
from tests.doors.serving import client, services
from tests.stores import Stores

SEGMENT = {
    "id": 0,
    "seek": 0,
    "start": 0.0,
    "end": 2.5,
    "text": " Hello.",
    "tokens": [1],
    "temperature": 0.0,
    "avg_logprob": -0.2,
    "compression_ratio": 1.0,
    "no_speech_prob": 0.01,
    "words": [{"start": 0.0, "end": 2.5, "word": " Hello.", "probability": 0.9}],
}
PARAMS = {"lang": "en", "model_size": "large-v2", "hf_token": "hf_secret"}
COLUMNS = "uuid, status, task_type, result, task_params, error, duration, created_at"
ROWS = [
    (
        "1" * 36,
        "COMPLETED",
        "transcription",
        json.dumps([SEGMENT]),
        json.dumps(PARAMS),
        None,
        3.25,
        "2025-03-01",
    ),
    ("2" * 36, "FAILED", "transcription", None, "{}", "It broke.", 1.0, "2025-03-02"),
    ("3" * 36, "IN_PROGRESS", "transcription", None, "{}", None, None, "2025-03-03"),
    ("4" * 36, "completed", "vad", json.dumps([{"start": 0, "end": 16000}]), "{}", None, 0.5, "2025-03-04"),
]


SECRET = "hf_very_secret"
GROUPS = {
    "whisper": {"model_size": "large-v2", "lang": "french", "is_translate": False},
    "vad": {"vad_filter": False},
    "diarization": {"is_diarize": True, "hf_token": SECRET},
    "bgm_separation": {"is_separate_bgm": False},
}
HASHES = {"instrumental_hash": "a" * 64, "vocal_hash": "b" * 64}


@pytest.fixture
def later(tmp_path: Path) -> Path:
    """The table of the later release: parameters in groups, separations, and what went wrong there."""
    path = tmp_path / "what? 100% #1.db"
    rows = [
        ("a", "TRANSCRIPTION", [SEGMENT], GROUPS, "french", 61.5),
        ("b", "BGM_SEPARATION", HASHES, GROUPS["bgm_separation"], None, None),
        ("c", "TRANSCRIPTION", [SEGMENT], {"whisper": {"lang": "Automatic Detection"}}, "somewhere", None),
        ("d", "BGM_SEPARATION", {}, {}, None, None),
        ("e", "VAD", [{"start": None}], {}, None, None),
    ]
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(
            "CREATE TABLE tasks"
            " (uuid, status, task_type, result, task_params, language, audio_duration, created_at)"
        )
        for letter, kind, result, params, language, seconds in rows:
            values = (
                letter * 36,
                "COMPLETED",
                kind,
                json.dumps(result),
                json.dumps(params),
                language,
                seconds,
            )
            database.execute("INSERT INTO tasks VALUES (?,?,?,?,?,?,?,'2025-01-01 00:00:00')", values)
    return path


async def test_the_later_releases_table_is_taken_over_without_its_tokens(
    stores: Stores, later: Path, tmp_path: Path
) -> None:
    assert await import_file(later, stores.database, stores.results) == (3, 2)
    first = await stores.jobs.get("a" * 36)
    assert (first.language, first.audio_duration) == ("fr", 61.5)
    assert json.loads(first.request)["whisper"]["model_size"] == "large-v2"
    assert SECRET not in first.request
    document = json.loads(await stores.results.get(first.result_id))
    assert document["model"] == "large-v2"
    assert (await stores.jobs.get("c" * 36)).language is None
    for path in tmp_path.rglob("*"):
        if path.is_file() and path != later:
            assert SECRET.encode() not in path.read_bytes()


async def test_clients_find_separations_and_are_told_that_the_files_are_gone(
    tmp_path: Path, later: Path
) -> None:
    made = services(tmp_path)
    assert made.jobs is not None
    async with client(made) as http:
        await import_file(later, made.jobs.database, made.jobs.results)
        task = (await http.get(f"/task/{'b' * 36}")).json()
        assert (task["task_type"], task["result_type"], task["result"]) == (
            "bgm_separation",
            "filepath",
            HASHES,
        )
        assert (await http.get(f"/task/file/{'b' * 36}")).status_code == 410


@pytest.fixture
def original(tmp_path: Path) -> Path:
    path = tmp_path / "original.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(
            "CREATE TABLE tasks (id INTEGER PRIMARY KEY, uuid VARCHAR, status VARCHAR, task_type VARCHAR,"
            " result JSON, result_type VARCHAR, task_params JSON, error VARCHAR, duration FLOAT,"
            " progress FLOAT, created_at DATETIME, updated_at DATETIME)"
        )
        insert = f"INSERT INTO tasks ({COLUMNS}, updated_at) VALUES (?,?,?,?,?,?,?,?,?)"
        database.executemany(
            insert, [(*row[:-1], f"{row[-1]} 10:00:00", f"{row[-1]} 10:00:04") for row in ROWS]
        )
    return path


async def test_finished_tasks_are_taken_over_once(stores: Stores, original: Path) -> None:
    assert await import_file(original, stores.database, stores.results) == (3, 1)
    assert await import_file(original, stores.database, stores.results) == (0, 4)
    assert (await stores.jobs.get(ROWS[0][0])).state is JobState.COMPLETED


async def test_clients_find_them_under_their_identifiers(tmp_path: Path, original: Path) -> None:
    made = services(tmp_path)
    assert made.jobs is not None
    async with client(made) as http:
        await import_file(original, made.jobs.database, made.jobs.results)
        task = (await http.get(f"/task/{ROWS[0][0]}")).json()
        assert (task["status"], task["duration"]) == ("COMPLETED", 3.25)
        assert task["result"][0]["text"] == "Hello."
        assert task["result"][0]["words"][0]["word"] == " Hello."
        assert task["task_params"] == {"lang": "en", "model_size": "large-v2"}
        assert task["created_at"] == "2025-03-01T10:00:00+00:00"
        assert (await http.get(f"/task/{ROWS[1][0]}")).json()["error"] == "It broke."
        assert (await http.get(f"/task/{ROWS[3][0]}")).json()["result"] == [{"start": 0, "end": 16000}]
        tasks = (await http.get("/task/all")).json()["tasks"]
        assert [one["identifier"] for one in tasks] == [ROWS[3][0], ROWS[1][0], ROWS[0][0]]


async def test_another_file_is_refused(stores: Stores, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    other.write_bytes(b"no database" * 100)
    with pytest.raises(InvalidOptionError, match="no SQLite database"):
        await import_file(other, stores.database, stores.results)
