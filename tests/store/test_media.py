"""Recordings by content: kept once, never taken from a job that needs them."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from scriba.domain.errors import (
    ConflictError,
    EmptyMediaError,
    MediaLostError,
    NotFoundError,
    StorageFullError,
)
from scriba.store.media import clean_name
from tests.stores import Stores, open_stores


async def _bytes(stores: Stores, media: Any) -> bytes:
    return b"".join([block async for block in stores.media.stream(media)])


async def test_a_recording_is_kept_as_it_came(stores: Stores) -> None:
    data = bytes(range(256)) * 40_000
    media, new = await stores.media.add(io.BytesIO(data), "../../etc/passwd")
    assert new
    assert (media.sha256, media.size, media.name) == (hashlib.sha256(data).hexdigest(), len(data), "passwd")
    assert await _bytes(stores, media) == data
    assert b"".join([block async for block in stores.media.stream(media, 5, 9)]) == data[5:9]
    assert b"".join([block async for block in stores.media.stream(media, len(data) - 3)]) == data[-3:]
    async with stores.media.open(media) as source:
        assert isinstance(source, Path)
        assert source.read_bytes() == data


async def test_what_was_taken_is_on_the_disk(
    stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut cannot be had here; that the disk is asked for each file and its folders can be seen."""
    flushed: list[int] = []
    plain = os.fsync

    def note(descriptor: int) -> None:
        flushed.append(os.fstat(descriptor).st_ino)
        plain(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    for data in (b"small", bytes(20 << 20)):
        flushed.clear()
        media, _ = await stores.media.add(io.BytesIO(data), "a.wav")
        path = tmp_path / "blobs" / media.blob_key
        assert flushed == [one.stat().st_ino for one in (path, *list(path.parents)[:3])]
    flushed.clear()
    result = await stores.results.put("f", "transcription", b"{}")
    assert (tmp_path / "blobs" / result.blob_key).stat().st_ino in flushed


async def test_the_same_content_is_kept_once(stores: Stores, tmp_path: Path) -> None:
    made = await asyncio.gather(*(stores.media.add(io.BytesIO(b"same"), f"{i}.wav") for i in range(8)))
    assert len({media.id for media, _ in made}) == 1
    assert sum(new for _, new in made) == 1
    blobs = [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()]
    assert [path.read_bytes() for path in blobs] == [b"same"]


async def test_nothing_is_no_recording(stores: Stores) -> None:
    with pytest.raises(EmptyMediaError):
        await stores.media.add(io.BytesIO(b""), "empty.wav")


async def test_what_a_job_needs_is_never_removed(stores: Stores) -> None:
    new = await stores.new_job()
    job, _ = await stores.jobs.submit(new)
    with pytest.raises(ConflictError):
        await stores.media.remove(new.media_id)
    assert await stores.media.expire(-10) == 0
    await stores.jobs.claim(job.id, "w", 10)
    assert await stores.media.expire(-10) == 0
    with pytest.raises(ConflictError):
        await stores.media.remove(new.media_id)
    await stores.jobs.cancel(job.id)
    assert await stores.media.expire(-10) == 1
    with pytest.raises(NotFoundError):
        await stores.media.get(new.media_id)


async def test_what_the_library_shows_does_not_expire(stores: Stores) -> None:
    media = await stores.recording()
    assert await stores.media.list_in_library(media.id, media.name)
    assert not await stores.media.list_in_library(media.id, media.name)
    assert await stores.media.expire(-10) == 0
    assert [one.id for one in await stores.media.library()] == [media.id]
    await stores.media.remove(media.id)
    with pytest.raises(NotFoundError):
        await stores.media.remove(media.id)


async def test_a_recording_in_use_does_not_expire(stores: Stores) -> None:
    await stores.recording()
    assert await stores.media.expire(3600) == 0


async def test_removal_and_submission_race_to_one_answer(stores: Stores) -> None:
    """Either the job is there and its recording with it, or neither."""
    for _ in range(15):
        new = await stores.new_job()
        outcomes = await asyncio.gather(
            stores.jobs.submit(new), stores.media.remove(new.media_id), return_exceptions=True
        )
        refused = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        assert len(refused) == 1, outcomes
        kept = await stores.media.find(new.media_id)
        assert (kept is None) == isinstance(refused[0], NotFoundError)


async def test_the_quota_is_kept(database_url: str, tmp_path: Path) -> None:
    async with open_stores(database_url, tmp_path, quota=100) as stores:
        await stores.recording(b"x" * 60)
        with pytest.raises(StorageFullError, match="60 bytes of 100, and this recording has 41"):
            await stores.recording(b"y" * 41)
        await stores.recording(b"x" * 60)
        await stores.recording(b"y" * 40)


async def test_what_a_crash_left_behind_is_swept_away(stores: Stores, tmp_path: Path) -> None:
    kept = await stores.recording()
    await stores.blobs.put_bytes("media/ab/orphan", b"left behind")
    assert await stores.media.sweep(3600) == 0
    assert await stores.media.sweep(-10) == 1
    assert not await stores.blobs.exists("media/ab/orphan")
    assert await _bytes(stores, kept)


async def test_a_blob_that_is_gone_is_told(stores: Stores) -> None:
    media = await stores.recording()
    await stores.blobs.delete([media.blob_key])
    with pytest.raises(MediaLostError):
        await _bytes(stores, media)
    with pytest.raises(MediaLostError):
        async with stores.media.open(media):
            pass


async def test_a_database_failure_leaves_no_blob(stores: Stores, tmp_path: Path) -> None:
    async with stores.database.write() as connection:
        await connection.execute(text("ALTER TABLE media RENAME COLUMN name TO nom"))
    with pytest.raises(Exception, match="name"):
        await stores.media.add(io.BytesIO(b"data"), "a.wav")
    assert [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("speech.wav", "speech.wav"),
        ("C:\\Users\\me\\talk.mp3", "talk.mp3"),
        ("../../x", "x"),
        ("..", "recording"),
        ("", "recording"),
        ("a\x00b\n.wav", "ab.wav"),
        ("x" * 400, "x" * 255),
    ],
)
def test_names_are_names_and_nothing_else(sent: str, kept: str) -> None:
    assert clean_name(sent) == kept
