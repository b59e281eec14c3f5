"""The form of a client's audio, as doors name it."""

from __future__ import annotations

from scriba.audio.live_pcm import HIGHEST_RATE, LOWEST_RATE, MOST_CHANNELS, PcmEncoding, PcmFormat
from scriba.domain.errors import InvalidOptionError

CONTAINER = "container"
"""A media stream that names its own codec: what a browser's recorder writes, fragment after fragment."""

ENCODINGS = (*(own.value for own in PcmEncoding), CONTAINER)
RATES = (LOWEST_RATE, HIGHEST_RATE)
CHANNELS = (1, MOST_CHANNELS)


def parse_form(encoding: str, sample_rate: int = 16_000, channels: int = 1) -> PcmFormat | None:
    """None for a container.

    Raises:
        InvalidOptionError: there is no such encoding, or a number is out of bounds.
    """
    if encoding == CONTAINER:
        return None
    try:
        known = PcmEncoding(encoding)
    except ValueError:
        raise InvalidOptionError(
            f"encoding must be one of {', '.join(ENCODINGS)}, not {encoding[:40]!r}.", field="encoding"
        ) from None
    return PcmFormat(known, sample_rate, channels)


def samples_only(form: PcmFormat, data: bytes) -> None:
    """Refuse audio that holds no whole number of samples.

    Raises:
        InvalidOptionError: it does not.
    """
    if len(data) % form.frame_bytes:
        raise InvalidOptionError(
            f"audio must hold whole samples of {form.frame_bytes} bytes; it has {len(data)} bytes.",
            field="audio",
        )
