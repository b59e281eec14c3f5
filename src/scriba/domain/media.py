"""What is known of a recording before and while it is decoded."""

from __future__ import annotations

from dataclasses import dataclass

SAMPLE_RATE = 16_000
"""Samples a second of all audio inside Scriba: mono float32, the rate Whisper was trained on."""


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """What a container's headers say. Headers lie: nothing is sized by them.

    ``duration`` is in seconds, None when the container does not say (a browser's recorder does not).
    """

    container: str
    codec: str
    sample_rate: int
    channels: int
    duration: float | None


@dataclass(frozen=True, slots=True)
class Media:
    """A stored recording. ``name`` is what its sender called it: shown, and never used as a path."""

    id: str
    sha256: str
    size: int
    name: str
    blob_key: str
    created_at: float
    listed_at: float | None
