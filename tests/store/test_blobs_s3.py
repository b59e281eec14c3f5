"""The same on a bucket, behind a server that speaks S3 over HTTP."""

from __future__ import annotations

import io
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from scriba.domain.errors import MediaLostError, StorageUnavailableError
from scriba.store.blobs import Blobs
from tests.stores import open_stores

CREDENTIALS = {"access_key_id": "scriba", "secret_access_key": "not-a-secret", "region": "us-east-1"}


@pytest.fixture(scope="module")
def bucket() -> Iterator[dict[str, str]]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    endpoint = f"http://127.0.0.1:{port}"
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="scriba",
        aws_secret_access_key="not-a-secret",
    )
    client.create_bucket(Bucket="recordings")
    yield {"endpoint": endpoint, **CREDENTIALS}
    server.stop()


async def test_recordings_live_in_a_bucket(bucket: dict[str, str], tmp_path: Path) -> None:
    blobs = Blobs.open("s3://recordings/scriba", bucket)
    data = os.urandom(20_000_000)  # several parts
    async with open_stores(f"sqlite:///{tmp_path / 'db'}", tmp_path, blobs=blobs) as stores:
        media, new = await stores.media.add(io.BytesIO(data), "talk.wav")
        assert new
        assert blobs.path(media.blob_key) is None
        assert b"".join([block async for block in stores.media.stream(media, 7, 30)]) == data[7:30]
        async with stores.media.open(media) as source:
            assert not isinstance(source, Path)
            assert source.read() == data
        assert list((tmp_path / "spool").iterdir()) == []
        await blobs.put_bytes("media/ab/orphan", b"left behind")
        assert await stores.media.sweep(-10) == 1
        result = await stores.results.put("f" * 64, "transcription", b"{}")
        assert await blobs.get_bytes(result.blob_key) == b"{}"
        await stores.media.remove(media.id)
        assert not await blobs.exists(media.blob_key)
        with pytest.raises(MediaLostError):
            await blobs.get_bytes(media.blob_key)


async def test_a_bucket_that_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scriba.store.blobs._RETRIES", {"max_retries": 0})
    blobs = Blobs.open("s3://recordings", {"endpoint": "http://127.0.0.1:1", **CREDENTIALS})
    with pytest.raises(StorageUnavailableError):
        await blobs.put_bytes("a", b"b")


async def test_a_large_recording_is_never_held_in_memory(bucket: dict[str, str], tmp_path: Path) -> None:
    """Into a folder, since the bucket of the tests is in this process's memory."""
    blobs = Blobs.open(tmp_path / "blobs")
    path = tmp_path / "large.wav"
    with path.open("wb") as file:
        file.truncate(1_000_000_000)
    async with open_stores(f"sqlite:///{tmp_path / 'db'}", tmp_path, blobs=blobs) as stores:
        await stores.recording()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with path.open("rb") as file:
            media, _ = await stores.media.add(file, "large.wav")
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        assert media.size == 1_000_000_000
        assert grown < 100, f"{grown:.0f} MB more"
