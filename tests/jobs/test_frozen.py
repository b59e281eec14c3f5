"""A worker that is stopped in the middle of a transaction keeps nothing from the others.

A virtual machine may be frozen at any moment. Here the process stops itself at a chosen one: when PostgreSQL
has parsed a statement (its session then counts as active for ever, whatever time-outs it has), or when it
has executed one and waits for the next.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import psutil
import pytest

from tests.postgres import PostgresServer
from tests.processes import Process, Server, order, recordings, result, worker

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

AGAIN_SECONDS = 15.0
STOPS_ITSELF = """
import os, signal
import asyncpg
from asyncpg.prepared_stmt import PreparedStatement

moment, part = os.environ["STOP_WHEN"], os.environ["STOP_AT"]
stopped = False

def stop(now, query):
    global stopped
    if now == moment and part in query and not stopped:
        stopped = True
        os.kill(os.getpid(), signal.SIGSTOP)

plain_prepare, plain_fetch = asyncpg.Connection.prepare, PreparedStatement.fetch

async def prepare(self, query, **options):
    statement = await plain_prepare(self, query, **options)
    stop("parsed", query)
    return statement

async def fetch(self, *values, **options):
    rows = await plain_fetch(self, *values, **options)
    stop("executed", self.get_query())
    return rows

asyncpg.Connection.prepare, PreparedStatement.fetch = prepare, fetch
"""
CLAIM = "started_at="
RENEW = "RETURNING jobs.id"
WINDOW = "INSERT INTO windows"
RESULT = "INSERT INTO results"


@pytest.mark.parametrize(
    ("moment", "statement"),
    [
        ("executed", CLAIM),
        ("parsed", WINDOW),
        ("parsed", RESULT),
        ("executed", RENEW),
    ],
)
def test_a_worker_that_freezes_in_a_transaction_holds_nobody_up(
    tmp_path: Path, postgres: PostgresServer, moment: str, statement: str
) -> None:
    hook = tmp_path / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(STOPS_ITSELF)
    shared = {
        "DB_URL": postgres.create_database(),
        "SCRIBA_STORE__BLOBS": str(tmp_path / "blobs"),
        "SCRIBA_JOBS__LEASE_SECONDS": "2",
    }
    frozen = worker(
        tmp_path / "frozen",
        PYTHONPATH=f"{hook}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
        STOP_WHEN=moment,
        STOP_AT=statement,
        **shared,
    )
    with Server(tmp_path / "web", "--no-worker", **shared) as front, frozen:
        (speech,) = recordings(tmp_path / "speech", 1)
        identifier = order(front.http, speech)
        wait_until_stopped(frozen)
        with worker(tmp_path / "other", **shared) as other:
            began = time.monotonic()
            while (job := front.http.get(f"/v1/jobs/{identifier}").json())["status"] != "completed":
                assert time.monotonic() - began < AGAIN_SECONDS, (job, other.log[-2000:])
                time.sleep(0.1)
            text = result(front.http, identifier)["text"]
            assert text
            frozen.send(signal.SIGCONT)
            time.sleep(2)
            assert front.http.get(f"/v1/jobs/{identifier}").json() == job
            assert result(front.http, identifier)["text"] == text
        # It found itself cut off and works on.
        assert frozen.running.poll() is None, frozen.log[-2000:]
        another = order(front.http, speech, language="en")
        end = time.monotonic() + 30
        while front.http.get(f"/v1/jobs/{another}").json()["status"] != "completed":
            assert time.monotonic() < end, frozen.log[-2000:]
            time.sleep(0.1)


def wait_until_stopped(process: Process) -> None:
    end = time.monotonic() + 60
    while psutil.Process(process.running.pid).status() != psutil.STATUS_STOPPED:
        assert time.monotonic() < end, process.log[-2000:]
        time.sleep(0.05)
