"""Both parts of a recording as one zip, with their hashes."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import dataclass
from typing import BinaryIO

from scriba.domain.cancel import CancelToken
from scriba.separation.process import Parts

_BLOCK = 1 << 20
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time a zip can name: the same parts give the same archive."""


@dataclass(frozen=True, slots=True)
class Hashes:
    """SHA-256 of each WAV file, in hexadecimal."""

    vocal: str
    instrumental: str


def write_archive(parts: Parts, name: str, into: BinaryIO, cancel: CancelToken) -> Hashes:
    """Write ``<name>-vocals.wav`` and ``<name>-instrumental.wav``, as they are, into a zip.

    Args:
        name: of the recording, already a plain file name without its extension.

    Raises:
        CancelledByUserError: ``cancel`` was set.
    """
    with zipfile.ZipFile(into, "w", zipfile.ZIP_STORED) as archive:
        vocal = _add(archive, f"{name}-vocals.wav", parts.voice, cancel)
        instrumental = _add(archive, f"{name}-instrumental.wav", parts.rest, cancel)
    into.seek(0)
    return Hashes(vocal, instrumental)


def _add(archive: zipfile.ZipFile, name: str, file: BinaryIO, cancel: CancelToken) -> str:
    digest = hashlib.sha256()
    file.seek(0)
    entry = zipfile.ZipInfo(name, _EPOCH)
    with archive.open(entry, "w", force_zip64=True) as member:
        while block := file.read(_BLOCK):
            cancel.check()
            digest.update(block)
            member.write(block)
    return digest.hexdigest()
