"""What a kill costs: no window that is written down is heard again, and others no more than a batch holds."""

from __future__ import annotations

import asyncio
import os
import random
import time
import wave
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select

from scriba.store.database import Database
from scriba.store.tables import windows
from tests.postgres import PostgresServer
from tests.processes import Process, Server, order, recordings, result, until_all, worker

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

KILLS = int(os.environ.get("REPEAT_KILLS", "4"))
IN_FLIGHT = 5
"""Windows of one recording that are heard side by side with the tests' beam (see ``hook``)."""
TELLS_WHAT_IT_HEARD = """
import os
import scriba.transcribe.recording as module

plain = module._Run._submit

def submit(self, window, flow, **how):
    future = plain(self, window, flow, **how)
    if flow.__name__ != "listen":
        return future

    def note(done):
        if not done.cancelled() and done.exception() is None:
            with open(os.environ["HEARD"], "ab", buffering=0) as file:
                file.write(f"{os.getpid()} {window.index}\\n".encode())

    future.add_done_callback(note)
    return future

module._Run._submit = submit
"""


@pytest.fixture
def long_speech(tmp_path: Path) -> Path:
    """Six minutes of real speech."""
    (once,) = recordings(tmp_path / "speech", 1, seconds=44.0)
    path = tmp_path / "long.wav"
    with wave.open(str(once), "rb") as source, wave.open(str(path), "wb") as target:
        target.setparams(source.getparams())
        frames = source.readframes(source.getnframes())
        for _ in range(8):
            target.writeframes(frames)
    return path


@pytest.fixture
def heard(tmp_path: Path) -> Path:
    path = tmp_path / "heard"
    path.touch()
    return path


@pytest.fixture
def hook(tmp_path: Path, heard: Path) -> dict[str, str]:
    folder = tmp_path / "hook"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(TELLS_WHAT_IT_HEARD)
    return {
        "PYTHONPATH": f"{folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
        "HEARD": str(heard),
        "SCRIBA_JOBS__LEASE_SECONDS": "2",
        "SCRIBA_DECODING__BEAM_SIZE": "5",
        "SCRIBA_JOBS__MAX_ATTEMPTS": "50",
    }


def test_on_sqlite(tmp_path: Path, long_speech: Path, heard: Path, hook: dict[str, str]) -> None:
    with Server(tmp_path / "data", **hook) as server:
        repeats(server, server, f"sqlite:///{tmp_path}/data/scriba.db", long_speech, heard)


def test_on_postgresql(
    tmp_path: Path, postgres: PostgresServer, long_speech: Path, heard: Path, hook: dict[str, str]
) -> None:
    shared = {"DB_URL": postgres.create_database(), "SCRIBA_STORE__BLOBS": str(tmp_path / "blobs")}
    with (
        Server(tmp_path / "web", "--no-worker", **shared, **hook) as front,
        worker(tmp_path / "worker", **shared, **hook) as victim,
    ):
        repeats(front, victim, shared["DB_URL"], long_speech, heard)


def repeats(front: Server, victim: Process, url: str, speech: Path, heard: Path) -> None:
    """Kill shortly after one to three windows were heard, again and again."""
    chance = random.Random(5)
    identifier = order(front.http, speech)
    kept: list[set[int]] = []
    while len(kept) < KILLS:
        enough = len(lines(heard)) + chance.randint(1, 3)
        end = time.monotonic() + 120
        while len(lines(heard)) < enough and not ended(front, identifier):
            assert time.monotonic() < end, (lines(heard), victim.log[-3000:])
            time.sleep(0.01)
        if ended(front, identifier):
            break
        time.sleep(chance.uniform(0.0, 0.5))
        victim.kill()
        kept.append(asyncio.run(written_down(url)))
        victim.start()
    (job,) = until_all(front.http, 1, "completed", "failed", seconds=120)
    assert job["status"] == "completed"
    assert result(front.http, identifier)["text"]
    runs: dict[str, list[int]] = {}
    for process, number in (line.split() for line in lines(heard)):
        runs.setdefault(process, []).append(int(number))
    print(f"heard by each process: {list(runs.values())}; written down at each kill: {kept}")
    assert len(runs) >= 2
    assert kept
    assert any(kept)
    before: set[int] = set()
    for run, known in zip(runs.values(), [set(), *kept], strict=False):
        assert not known & set(run), "what was written down was heard again"
        assert len(before & set(run)) <= IN_FLIGHT
        before |= set(run)


def ended(front: Server, identifier: str) -> bool:
    try:
        return front.http.get(f"/v1/jobs/{identifier}").json()["status"] in ("completed", "failed")
    except httpx.TransportError:
        return False


async def written_down(url: str) -> set[int]:
    database = Database(url)
    rows = await database.fetch(select(windows.c.number))
    await database.close()
    return {row["number"] for row in rows}


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines()
