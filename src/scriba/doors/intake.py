"""Recordings on their way into the store: from a form, or from an address."""

from __future__ import annotations

import tempfile
from typing import BinaryIO, cast

from scriba.domain.errors import EmptyMediaError
from scriba.domain.media import Media
from scriba.doors.context import UploadLimits
from scriba.doors.multipart import UploadForm
from scriba.jobs.fetch import FetchLimits, fetch
from scriba.jobs.service import JobService
from scriba.store.disk import room_on_disk


async def keep_file(jobs: JobService, form: UploadForm) -> tuple[Media, bool]:
    """Store the file of a form; False with it when it was stored before.

    Raises:
        InvalidOptionError: no file was sent.
        EmptyMediaError: it holds no bytes.
        StorageFullError: there is no room.
    """
    return await jobs.keep(form.require_file(), form.file_name)


async def keep_url(jobs: JobService, url: str, fetching: FetchLimits, uploads: UploadLimits) -> Media:
    """Fetch a recording and store it.

    Raises:
        AddressRefusedError: it is not an address this server fetches from.
        EmptyMediaError: there were no bytes.
        FetchError: it could not be fetched.
        MediaTooLargeError: it is too large.
        StorageFullError: there is no room.
    """
    with room_on_disk(), tempfile.TemporaryFile(dir=uploads.directory) as temporary:
        file = cast(BinaryIO, temporary)
        name = await fetch(url, fetching, file)
        if file.tell() == 0:
            raise EmptyMediaError("url: the body is empty: it holds no bytes.", field="url")
        media, _ = await jobs.keep(file, name)
        return media
