"""A model that is on this machine, and the note that is kept beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scriba.models.catalogue import CatalogueEntry, own_entry
from scriba.models.convert.state import ConversionError
from scriba.models.convert.vocabulary import load_json
from scriba.models.header import can_translate, read_model_dimensions, speaks_many_languages

NOTE = "scriba.json"
_NEEDED = ("model.bin", "config.json", "tokenizer.json")
_VOCABULARIES = ("vocabulary.json", "vocabulary.txt")
_WORK_SPACE = 150_000_000


@dataclass(frozen=True, slots=True)
class InstalledModel:
    """A CTranslate2 directory ready to be loaded. ``source`` says where it came from, in words.

    ``multilingual`` and ``translates`` say what the model was trained for; the vocabulary of a distilled
    model may be multilingual all the same.
    """

    name: str
    path: Path
    source: str
    multilingual: bool
    translates: bool
    mel_bins: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Note:
    """What ``scriba.json`` holds. ``folder`` is set where the weights lie elsewhere and are used there."""

    name: str
    source: str
    hashes: Mapping[str, str] = field(default_factory=dict)
    origin: Mapping[str, str] = field(default_factory=dict)
    folder: str | None = None

    def write(self, directory: Path) -> None:
        content = {
            "name": self.name,
            "source": self.source,
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "sha256": dict(self.hashes),
            "origin": dict(self.origin),
        }
        if self.folder is not None:
            content["folder"] = self.folder
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        (directory / NOTE).write_text(text, "utf-8")


def read_note(directory: Path) -> Note | None:
    """The note of a model directory; None when there is none that can be read."""
    try:
        data: dict[str, Any] = load_json(directory / NOTE)
        folder = data.get("folder")
        return Note(
            name=str(data["name"]),
            source=str(data["source"]),
            hashes=dict(data.get("sha256", {})),
            origin=dict(data.get("origin", {})),
            folder=None if folder is None else str(folder),
        )
    except (ConversionError, KeyError, TypeError, ValueError, OSError):
        return None


def is_complete(directory: Path) -> bool:
    """Whether a directory holds every file that an engine opens."""
    needed = all((directory / name).is_file() for name in _NEEDED)
    return needed and any((directory / name).is_file() for name in _VOCABULARIES)


def describe(directory: Path, name: str, source: str, entry: CatalogueEntry | None) -> InstalledModel:
    """What lies in a CTranslate2 directory.

    Args:
        entry: what the catalogue knows of the model, if it does; its word on skills wins over the weights',
            which do not tell what a model was trained for.

    Raises:
        ConversionError: files are missing or damaged.
    """
    if not is_complete(directory):
        raise ConversionError(
            "The folder is no complete CTranslate2 model: model.bin, config.json, tokenizer.json and "
            "vocabulary.json (or .txt) are needed."
        )
    sizes = read_model_dimensions(directory / "model.bin")
    multilingual, translates = speaks_many_languages(sizes), can_translate(sizes)
    if entry is not None and entry.size not in ("unknown", "own"):
        multilingual, translates = multilingual and entry.multilingual, translates and entry.translates
    return InstalledModel(
        name=name,
        path=directory,
        source=source,
        multilingual=multilingual,
        translates=translates,
        mel_bins=sizes.mel_bins,
        size_bytes=(directory / "model.bin").stat().st_size,
    )


def entry_of(model: InstalledModel) -> CatalogueEntry:
    """A catalogue entry for a model that only this machine knows."""
    return own_entry(
        model.name,
        multilingual=model.multilingual,
        translates=model.translates,
        mel_bins=model.mel_bins,
        memory_bytes=model.size_bytes + _WORK_SPACE,
    )
