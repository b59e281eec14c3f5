"""The topology of docs/scale.md for real: two fronts, two workers, PostgreSQL, a bucket."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from tests.postgres import PostgresServer
from tests.processes import Server, order, recordings, result, until_all, worker

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
TUS = {"Tus-Resumable": "1.0.0"}


def test_any_front_answers_for_any_job(
    tmp_path: Path, postgres: PostgresServer, bucket: dict[str, str]
) -> None:
    shared = bucket | {"DB_URL": postgres.create_database()}
    with (
        Server(tmp_path / "web1", "--no-worker", **shared) as one,
        Server(tmp_path / "web2", "--no-worker", **shared) as two,
        worker(tmp_path / "worker1", "--slots", "1", **shared) as first,
        worker(tmp_path / "worker2", "--slots", "1", **shared) as second,
    ):
        fronts = [one.http, two.http]
        files = recordings(tmp_path / "speech", 10)
        ids = [order(fronts[number % 2], path) for number, path in enumerate(files)]
        # Watched at one front, whichever took the order.
        with one.http.stream("GET", f"/v1/jobs/{ids[-1]}/events") as stream:
            events = [json.loads(line[6:]) for line in stream.iter_lines() if line.startswith("data: ")]
        assert events[-1]["type"] == "job.completed"
        assert [event for event in events if event["type"] == "job.segment"]
        until_all(two.http, 10, "completed", seconds=120)
        for number, identifier in enumerate(ids):
            assert result(fronts[(number + 1) % 2], identifier)["text"]
        assert '"job ended"' in first.log
        assert '"job ended"' in second.log

        # An upload that is begun at one front and ended at the other.
        data = files[0].read_bytes() + b"other"
        name = base64.b64encode(b"talk.wav").decode()
        begun = one.http.post(
            "/v1/uploads",
            headers=TUS | {"Upload-Length": str(len(data)), "Upload-Metadata": f"filename {name}"},
        )
        url, half = begun.headers["location"], len(data) // 2
        part = TUS | {"Content-Type": "application/offset+octet-stream"}
        one.http.patch(url, headers=part | {"Upload-Offset": "0"}, content=data[:half])
        ended = two.http.patch(url, headers=part | {"Upload-Offset": str(half)}, content=data[half:])
        media_id = ended.headers["x-media-id"]
        again = two.http.post("/v1/jobs", json={"media_id": media_id}).json()
        until_all(one.http, 11, "completed", seconds=60)
        assert result(one.http, again["id"])["text"]
        # Nothing of it lies on a front's own disk.
        assert not (tmp_path / "web1" / "blobs").exists()
        assert not (tmp_path / "web1" / "scriba.db").exists()
