"""How much of a recording is decoded, by the settings."""

from __future__ import annotations

from scriba.audio.decode import DecodeLimits
from scriba.server.settings import Settings


def decode_limits(settings: Settings) -> DecodeLimits:
    return DecodeLimits(
        max_bytes=settings.max_upload_bytes,
        max_seconds=settings.max_audio_seconds,
        max_decoded_bytes=settings.max_decoded_bytes,
    )
