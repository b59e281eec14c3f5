"""Parting voice from music as a job does it: both parts as one file in the store, for a while."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO, Protocol, cast

from scriba.domain.cancel import CancelToken
from scriba.domain.media import Media
from scriba.domain.options import SeparationOptions
from scriba.separation.archive import Hashes, write_archive
from scriba.separation.process import Separating
from scriba.transcribe.port import Source

Note = Callable[[float, float | None], None]


class VoiceSeparator(Protocol):
    """See ``scriba.separation.process.SeparationProcess``."""

    def separate(
        self, source: Source, options: SeparationOptions, *, for_speech: bool
    ) -> AbstractContextManager[Separating]: ...


@dataclass(frozen=True, slots=True)
class Archive:
    """An open zip without a name. ``seconds`` is the recording's length."""

    file: BinaryIO
    name: str
    hashes: Hashes
    seconds: float


def make_archive(
    separator: VoiceSeparator,
    source: Source,
    recording: Media,
    options: SeparationOptions,
    folder: Path,
    cancel: CancelToken,
    note: Note,
) -> Archive:
    """Blocking. The archive lies in ``folder``, without a name, until its file is closed.

    Raises:
        ScribaError: the recording, the options or the server are at fault, or the work was cancelled.
    """
    name = Path(recording.name).stem or "recording"
    file = cast(BinaryIO, TemporaryFile(dir=folder))  # noqa: SIM115 - handed on open
    try:
        with separator.separate(source, options, for_speech=False) as work:
            for done, total in work.steps(cancel):
                note(done, total)
            hashes = write_archive(work.parts, name, file, cancel)
            return Archive(file, f"{name}.zip", hashes, work.parts.seconds)
    except BaseException:
        file.close()
        raise
