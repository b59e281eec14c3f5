"""What is killed, stopped or cut off changes no result, and loses none."""

from __future__ import annotations

import os
import random
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.postgres import PostgresServer, postgres_server
from tests.processes import (
    Process,
    Server,
    all_jobs,
    order,
    recordings,
    result,
    until_all,
    worker,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

JOBS = int(os.environ.get("KILL_JOBS", "100"))
KILLS = int(os.environ.get("KILL_KILLS", "20"))
AGAIN_SECONDS = 15.0


def undisturbed(folder: Path, files: list[Path]) -> dict[str, dict[str, Any]]:
    """What each recording gives when nobody is killed."""
    with Server(folder) as server:
        ids = {path.name: order(server.http, path) for path in files}
        until_all(server.http, len(files), "completed", "failed", seconds=400)
        return {name: result(server.http, identifier) for name, identifier in ids.items()}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return recordings(tmp_path_factory.mktemp("speech"), JOBS)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory, files: list[Path]) -> dict[str, dict[str, Any]]:
    return undisturbed(tmp_path_factory.mktemp("undisturbed"), files)


def kill_again_and_again(front: Server, victim: Process) -> list[float]:
    """Kill at random while there is work; how long each job that ran then took to run again."""
    chance = random.Random(7)
    waits: list[float] = []
    for _ in range(KILLS):
        end = time.monotonic() + 60
        while not all_jobs(front.http, status="running"):
            if not all_jobs(front.http, status="queued"):
                return waits
            assert time.monotonic() < end
            time.sleep(0.05)
        time.sleep(chance.uniform(0.0, 1.0))
        attempts = {job["id"]: job["attempt"] for job in all_jobs(front.http, status="running")}
        killed = time.monotonic()
        victim.kill()
        victim.start()
        open_ids = set(attempts)
        while open_ids:
            for identifier in list(open_ids):
                job = front.http.get(f"/v1/jobs/{identifier}").json()
                if job["attempt"] > attempts[identifier] or job["status"] == "completed":
                    waits.append(time.monotonic() - killed)
                    open_ids.discard(identifier)
            assert time.monotonic() - killed < AGAIN_SECONDS, open_ids
            time.sleep(0.1)
    return waits


def check(front: Server, ids: dict[str, str], expected: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    found = until_all(front.http, len(ids), "completed", "failed", seconds=400)
    assert {job["id"] for job in found} == set(ids.values())
    assert [job["error"] for job in found if job["status"] != "completed"] == []
    for name, identifier in ids.items():
        assert result(front.http, identifier) == expected[name], name
    return found


def report(name: str, waits: list[float], found: list[dict[str, Any]]) -> None:
    attempts = sum(job["attempt"] for job in found)
    slowest = max(waits, default=0.0)
    print(f"{name}: {len(found)} jobs, {attempts} attempts, {len(waits)} hit, back within {slowest:.1f} s")


def test_killing_the_server_loses_nothing(
    tmp_path: Path, files: list[Path], expected: dict[str, dict[str, Any]]
) -> None:
    # More tries than kills: a job may be hit again and again here, and none of them is at fault.
    with Server(tmp_path, SCRIBA_JOBS__MAX_ATTEMPTS="50") as server:
        ids = {path.name: order(server.http, path) for path in files}
        waits = kill_again_and_again(server, server)
        report("embedded", waits, check(server, ids, expected))


def test_killing_a_worker_loses_nothing(
    tmp_path: Path, postgres: PostgresServer, files: list[Path], expected: dict[str, dict[str, Any]]
) -> None:
    shared = {
        "DB_URL": postgres.create_database(),
        "SCRIBA_STORE__BLOBS": str(tmp_path / "blobs"),
        "SCRIBA_JOBS__MAX_ATTEMPTS": "50",
    }
    with (
        Server(tmp_path / "web", "--no-worker", **shared) as front,
        worker(tmp_path / "worker", **shared) as victim,
    ):
        ids = {path.name: order(front.http, path) for path in files}
        waits = kill_again_and_again(front, victim)
        report("postgresql", waits, check(front, ids, expected))


def test_a_worker_that_slept_past_its_lease_changes_nothing(
    tmp_path: Path, postgres: PostgresServer, files: list[Path], expected: dict[str, dict[str, Any]]
) -> None:
    shared = {
        "DB_URL": postgres.create_database(),
        "SCRIBA_STORE__BLOBS": str(tmp_path / "blobs"),
        "SCRIBA_JOBS__LEASE_SECONDS": "3",
    }
    with (
        Server(tmp_path / "web", "--no-worker", **shared) as front,
        worker(tmp_path / "zombie", **shared) as zombie,
    ):
        ids = {path.name: order(front.http, path) for path in files[:12]}
        end = time.monotonic() + 60
        while not (held := all_jobs(front.http, status="running")):
            assert time.monotonic() < end
            time.sleep(0.01)
        zombie.send(signal.SIGSTOP)
        with worker(tmp_path / "other", **shared):
            until_all(front.http, len(ids), "completed", seconds=120)
            before = {job["id"]: job for job in all_jobs(front.http)}
            zombie.send(signal.SIGCONT)
            time.sleep(3)
            assert {job["id"]: job for job in all_jobs(front.http)} == before
        check(front, ids, expected)
        # Those that it had when it was stopped were done by the other.
        assert [before[job["id"]]["attempt"] for job in held if job["id"] in before]


def test_jobs_go_on_when_the_database_is_restarted(
    tmp_path: Path, files: list[Path], expected: dict[str, dict[str, Any]]
) -> None:
    with postgres_server() as own:
        shared = {"DB_URL": own.create_database(), "SCRIBA_STORE__BLOBS": str(tmp_path / "blobs")}
        with (
            Server(tmp_path / "web", "--no-worker", **shared) as front,
            worker(tmp_path / "worker", **shared),
        ):
            ids = {path.name: order(front.http, path) for path in files[:20]}
            until_all(front.http, 3, "completed", seconds=60)
            own.stop("immediate")
            answer = front.http.get("/v1/jobs")
            assert answer.status_code == 503
            assert "Traceback" not in answer.text
            time.sleep(2)
            own.start()
            found = check(front, ids, expected)
            assert max(job["attempt"] for job in found) <= 2


def test_a_job_that_crashes_its_process_is_given_up_and_the_others_go_on(
    tmp_path: Path, files: list[Path]
) -> None:
    """A recording at whose sight the process kills itself, as a fault in native code would."""
    hook = tmp_path / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(
        "import os\n"
        "try:\n"
        "    import scriba.transcribe.recording as module\n"
        "    plain = module.open_recording\n"
        "    def fatal(source, limits=None):\n"
        "        data = source.read_bytes()[:200] if hasattr(source, 'read_bytes') else b''\n"
        "        if b'POISON' in data: os.kill(os.getpid(), 9)\n"
        "        return plain(source, limits)\n"
        "    module.open_recording = fatal\n"
        "except Exception: pass\n"
    )
    path = f"{hook}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    server = Server(
        tmp_path / "data", PYTHONPATH=path, SCRIBA_JOBS__LEASE_SECONDS="1", SCRIBA_JOBS__SLOTS="1"
    )
    poison = tmp_path / "poison.wav"
    poison.write_bytes(b"RIFF\x00\x00\x00\x00WAVEPOISON" + files[0].read_bytes())
    with server:
        good = [order(server.http, one) for one in files[:5]]
        # It goes before them, and takes the server with it, perhaps before this is answered.
        with suppress(httpx.TransportError):
            order(server.http, poison, priority="100")
        bad = ""
        end = time.monotonic() + 120
        while True:
            if server.running.poll() is not None:
                server.running.wait()
                server.start()
            try:
                jobs = {job["id"]: job for job in all_jobs(server.http)}
            except httpx.TransportError:
                continue
            bad = next(iter(set(jobs) - set(good)))
            if jobs[bad]["status"] == "failed" and all(jobs[one]["status"] == "completed" for one in good):
                break
            assert time.monotonic() < end, jobs
            time.sleep(0.1)
        assert jobs[bad]["attempt"] == 3
        assert jobs[bad]["error"]["code"] == "worker_lost"


def test_cancelling_frees_the_cpu_within_a_second(tmp_path: Path) -> None:
    (long,) = recordings(tmp_path / "speech", 1, seconds=44.0)
    hour = tmp_path / "hour.wav"
    import wave

    with wave.open(str(long), "rb") as source, wave.open(str(hour), "wb") as target:
        target.setparams(source.getparams())
        frames = source.readframes(source.getnframes())
        for _ in range(40):
            target.writeframes(frames)
    with Server(tmp_path / "data") as server:
        identifier = order(server.http, hour)
        end = time.monotonic() + 60
        while server.http.get(f"/v1/jobs/{identifier}").json()["progress"]["fraction"] == 0:
            assert time.monotonic() < end
            time.sleep(0.05)
        process = psutil.Process(server.running.pid)
        server.http.post(f"/v1/jobs/{identifier}/cancel")
        time.sleep(1.0)
        before = sum(process.cpu_times()[:2])
        time.sleep(1.0)
        spent = sum(process.cpu_times()[:2]) - before
        print(f"CPU in the second second after cancelling: {spent:.2f} s")
        assert spent < 0.5
        assert server.http.get(f"/v1/jobs/{identifier}").json()["status"] == "cancelled"
