"""Recordings with what is said in them, from a manifest or a folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scriba.domain.errors import InvalidOptionError
from scriba.domain.language import normalise_language

MANIFEST = "manifest.jsonl"
_SUFFIXES = (
    ".wav",
    ".flac",
    ".mp3",
    ".m4a",
    ".ogg",
    ".opus",
    ".webm",
    ".mp4",
    ".aac",
    ".aiff",
    ".aif",
    ".wma",
)


@dataclass(frozen=True, slots=True)
class Reference:
    """One recording and its text. ``text`` "" means that nothing is said; ``language`` None, that it is
    not known; ``duration`` is in seconds, None where not known. ``name`` is for people."""

    name: str
    path: Path
    text: str
    language: str | None = None
    duration: float | None = None


@dataclass(frozen=True, slots=True)
class Corpus:
    """What was found. ``without_text`` counts the recordings that have no reference and cannot be scored."""

    references: tuple[Reference, ...]
    without_text: int = 0


def load_references(source: Path) -> Corpus:
    """Read one of:

    - a manifest: JSON lines with ``path`` (relative to the manifest), ``text``, ``language``, ``duration``;
    - a folder that holds ``manifest.jsonl``;
    - a folder that lies beside ``manifest.jsonl``, if it is none of the next two: its part of the manifest;
    - LibriSpeech: a folder with ``*.trans.txt`` at any depth (``ID TEXT`` a line, ``ID.flac`` beside it);
    - a folder with ``NAME.txt`` beside ``NAME.wav`` (or another container), at any depth.

    Raises:
        InvalidOptionError: there is no such thing, it holds nothing to score, or a line is at fault.
    """
    if source.is_file():
        found = _from_manifest(source)
    elif source.is_dir():
        if (source / MANIFEST).is_file():
            found = _from_manifest(source / MANIFEST)
        else:
            found = Corpus(tuple(_from_librispeech(source)) or tuple(_from_pairs(source)))
            beside = source.resolve().parent / MANIFEST
            if not found.references and beside.is_file():
                found = _from_manifest(beside, below=source.resolve().name + "/")
    else:
        raise InvalidOptionError(f"There is no file or folder {source.name!r}.", field="source")
    if not found.references:
        raise InvalidOptionError(
            f"{source.name!r} holds no recording with a reference: expected {MANIFEST}, *.trans.txt, or "
            "NAME.wav beside NAME.txt.",
            field="source",
        )
    return found


def _from_manifest(manifest: Path, below: str = "") -> Corpus:
    """``below``: only what lies in this folder beside the manifest, with a slash at its end."""
    references: list[Reference] = []
    without_text = 0
    for number, line in enumerate(_read(manifest).splitlines(), 1):
        if not line.strip():
            continue
        where = f"{manifest.name} line {number}"
        entry = _entry(line, where)
        if not str(entry.get("path")).startswith(below):
            continue
        text = entry.get("text")
        if text is None:
            without_text += 1
            continue
        references.append(_reference(entry, manifest.parent, where))
    return Corpus(tuple(references), without_text)


def _entry(line: str, where: str) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except ValueError as error:
        raise InvalidOptionError(f"{where} is not JSON: {error}.", field="source") from None
    if not isinstance(entry, dict):
        raise InvalidOptionError(f"{where} is not a JSON object.", field="source")
    return entry


def _reference(entry: dict[str, Any], folder: Path, where: str) -> Reference:
    name, text = entry.get("path"), entry["text"]
    language, duration = entry.get("language"), entry.get("duration")
    if not isinstance(name, str) or not isinstance(text, str):
        raise InvalidOptionError(f"{where}: path and text must be strings.", field="source")
    if not isinstance(language, str | None):
        raise InvalidOptionError(f"{where}: language must be a string or null.", field="source")
    if not isinstance(duration, int | float | None):
        raise InvalidOptionError(f"{where}: duration must be a number of seconds or null.", field="source")
    path = folder / name
    if not path.is_file():
        raise InvalidOptionError(f"{where}: there is no file {name!r}.", field="source")
    return Reference(name, path, text, normalise_language(language, field=f"{where}: language"), duration)


def _from_librispeech(folder: Path) -> Iterator[Reference]:
    for listing in sorted(folder.rglob("*.trans.txt")):
        for number, line in enumerate(_read(listing).splitlines(), 1):
            name, _, text = line.strip().partition(" ")
            if not name:
                continue
            audio = _beside(listing.with_name(name))
            if audio is None:
                raise InvalidOptionError(
                    f"{listing.name} line {number}: there is no recording {name!r} beside it.", field="source"
                )
            yield Reference(audio.relative_to(folder).as_posix(), audio, text, "en")


def _from_pairs(folder: Path) -> Iterator[Reference]:
    for text in sorted(folder.rglob("*.txt")):
        audio = _beside(text.with_suffix(""))
        if audio is not None:
            yield Reference(audio.relative_to(folder).as_posix(), audio, " ".join(_read(text).split()))


def _beside(stem: Path) -> Path | None:
    candidates = (stem.with_name(stem.name + suffix) for suffix in _SUFFIXES)
    return next((path for path in candidates if path.is_file()), None)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidOptionError(f"{path.name!r} is not UTF-8 text.", field="source") from None
