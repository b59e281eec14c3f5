"""What a file is, before anything is done with it."""

from __future__ import annotations

from scriba.audio.decode import DecodeLimits, open_recording
from scriba.domain.media import MediaInfo
from scriba.transcribe.port import Source


def probe(source: Source, limits: DecodeLimits | None = None) -> MediaInfo:
    """What the headers say, and that sound can be decoded from it. Blocking.

    Raises:
        UnsupportedMediaError: it is no recording the decoder reads.
        EmptyMediaError: it holds no sound.
    """
    with open_recording(source, limits) as recording:
        next(iter(recording.blocks()), None)
        return recording.info
