"""Which recordings are meant by the arguments of a command."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

STDIN = "-"

# fmt: off
MEDIA_SUFFIXES = frozenset({
    ".3g2", ".3gp", ".aac", ".ac3", ".aif", ".aifc", ".aiff", ".alac", ".amr", ".ape", ".asf", ".au",
    ".avi", ".caf", ".dts", ".eac3", ".flac", ".flv", ".gsm", ".m2ts", ".m4a", ".m4b", ".m4v", ".mka",
    ".mkv", ".mov", ".mp2", ".mp3", ".mp4", ".mpeg", ".mpg", ".mpga", ".mts", ".oga", ".ogg", ".ogv",
    ".opus", ".ra", ".rm", ".snd", ".spx", ".tta", ".ts", ".vob", ".voc", ".w64", ".wav", ".weba",
    ".webm", ".wma", ".wmv", ".wv",
})
# fmt: on
"""What a file in a folder must end in to count as a recording; a file that is named counts whatever it is."""

_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Input:
    """One recording to transcribe.

    ``path`` is None for the standard input. ``stem`` is where its output goes below the output folder,
    without a suffix: the file's own name, and its folders below a folder that was named.
    """

    shown: str
    path: Path | None
    stem: Path


class NothingToReadError(Exception):
    """An argument names no file, or a folder without recordings. The message names it."""


def find(arguments: list[str]) -> list[Input]:
    """Every recording meant, once: in the order of the arguments, a folder's in the order of their names.

    Raises:
        NothingToReadError: an argument leads to nothing.
    """
    found: dict[Path | None, Input] = {}
    for argument in arguments:
        if argument == STDIN:
            found.setdefault(None, Input("standard input", None, Path("stdin")))
            continue
        path = Path(argument)
        if path.is_dir():
            inside = list(_inside(path))
            if not inside:
                raise NothingToReadError(f"{argument}: no recording is in this folder.")
            for file in inside:
                stem = file.relative_to(path).with_suffix("")
                found.setdefault(file.resolve(), Input(str(file), file, stem))
        elif path.exists():
            found.setdefault(path.resolve(), Input(argument, path, Path(path.stem)))
        else:
            raise NothingToReadError(f"{argument}: no such file.")
    return list(found.values())


def _inside(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and Path(name).suffix.lower() in MEDIA_SUFFIXES:
                yield Path(parent, name)


def spool_stdin(folder: Path | None = None) -> BinaryIO:
    """The standard input as a file without a name, gone when closed; memory does not grow with its length."""
    file = tempfile.TemporaryFile(prefix="scriba-", dir=folder)  # noqa: SIM115 - the caller closes it
    try:
        while block := sys.stdin.buffer.read(_BLOCK_BYTES):
            file.write(block)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file
