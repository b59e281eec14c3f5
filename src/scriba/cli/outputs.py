"""Where results are written: names that never meet, files that are whole or not there."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

from scriba.cli.inputs import Input


def plan(inputs: list[Input], folder: Path, suffixes: list[str]) -> list[list[Path]]:
    """For each input, the file to write for each suffix.

    ``talk.mp3`` becomes ``talk.srt``. Where two inputs would meet in one file (``talk.mp3`` and ``talk.wav``,
    also on a file system that ignores case), each keeps its whole name (``talk.mp3.srt``), numbered if that
    is not enough. No input is ever written over.
    """
    taken = {_key(item.path.resolve()) for item in inputs if item.path is not None}
    stems = [folder / item.stem for item in inputs]
    counts: dict[str, int] = {}
    for stem in stems:
        counts[_key(stem)] = counts.get(_key(stem), 0) + 1
    planned: list[list[Path]] = []
    for item, stem in zip(inputs, stems, strict=True):
        if counts[_key(stem)] > 1 and item.path is not None:
            stem = stem.with_name(item.path.name)
        number, name = 1, stem.name
        while any(_key(path.resolve()) in taken for path in _files(stem, suffixes)):
            number += 1
            stem = stem.with_name(f"{name}-{number}")
        files = _files(stem, suffixes)
        taken.update(_key(path.resolve()) for path in files)
        planned.append(files)
    return planned


def _files(stem: Path, suffixes: list[str]) -> list[Path]:
    return [stem.with_name(stem.name + suffix) for suffix in suffixes]


def _key(path: Path) -> str:
    return str(path).casefold()


def require_folder(folder: Path) -> None:
    """Refuse, before any work is done, a folder that cannot be written to. It is not made yet.

    Raises:
        OSError: it, or what it would be made in, is no folder or may not be written to.
    """
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    fault = (
        errno.ENOTDIR if not there.is_dir() else 0 if os.access(there, os.W_OK | os.X_OK) else errno.EACCES
    )
    if fault:
        raise OSError(fault, os.strerror(fault), str(folder))


def write_whole(path: Path, content: str) -> None:
    """Put ``content`` at ``path`` as UTF-8, at once: a reader sees the old file or the new one, never a part.

    Folders on the way are made.

    Raises:
        OSError: the folder cannot be written to, or the disk is full; nothing is left behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name[:50]}.", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(content)
        mask = os.umask(0)
        os.umask(mask)
        Path(name).chmod(0o666 & ~mask)  # mkstemp's files are for their owner alone
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
