"""A disk that is really full, where one may be mounted."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from scriba.domain.errors import StorageFullError
from scriba.domain.job import JobState
from scriba.jobs.port import Delivery
from scriba.store.blobs import Blobs
from tests.doors.serving import client, services
from tests.jobs.doubles import FakeBatch, submit, texts, until, working
from tests.stores import open_stores


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("this user may not mount a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """A file that takes all the room there is."""
    path = folder / "filler"
    with suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)
    return path


async def test_a_result_that_does_not_fit_fails_its_job_and_nothing_else(
    database_url: str, tmp_path: Path, small_disk: Path
) -> None:
    blobs = Blobs.open(small_disk / "blobs")
    async with open_stores(database_url, tmp_path, blobs=blobs) as stores:
        kept = await submit(stores)
        async with working(stores, FakeBatch()) as (queue, _):
            await queue.offer([Delivery.of(kept)])
            done = await until(stores.jobs, kept.id, JobState.COMPLETED)
        job = await submit(stores)
        filler = fill(small_disk)
        async with working(stores, FakeBatch()) as (queue, _):
            await queue.offer([Delivery.of(job)])
            failed = await until(stores.jobs, job.id, JobState.FAILED)
        assert (failed.error_code, failed.attempt) == ("storage_full", 1)
        with pytest.raises(StorageFullError):
            await stores.recording(b"y" * 100_000)
        assert await texts(stores, done) == ["window 0", "window 1", "window 2"]
        filler.unlink()
        await stores.jobs.requeue(job.id)
        async with working(stores, FakeBatch()):
            again = await until(stores.jobs, job.id, JobState.COMPLETED)
        assert await texts(stores, again) == ["window 0", "window 1", "window 2"]


async def test_a_part_that_does_not_fit_is_answered_and_the_upload_goes_on(
    tmp_path: Path, small_disk: Path
) -> None:
    made = services(tmp_path)
    made.settings.spool_dir.mkdir(parents=True, exist_ok=True)
    spool = small_disk / "spool"
    spool.mkdir()
    made.settings.spool_dir.rmdir()
    made.settings.spool_dir.symlink_to(spool)
    async with client(made) as http:
        headers = {"Tus-Resumable": "1.0.0"}
        begun = await http.post("/v1/uploads", headers=headers | {"Upload-Length": "300000"})
        filler = fill(small_disk)
        part = headers | {"Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"}
        full = await http.patch(begun.headers["location"], headers=part, content=b"x" * 300_000)
        assert (full.status_code, full.json()["error"]["code"]) == (507, "storage_full")
        filler.unlink()
        again = await http.patch(begun.headers["location"], headers=part, content=b"x" * 300_000)
        assert (again.status_code, again.headers["upload-offset"]) == (204, "300000")
