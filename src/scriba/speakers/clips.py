"""Clips that show a known speaker's voice."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray

from scriba.audio.decode import DecodeLimits, open_recording
from scriba.domain.cancel import CancelToken
from scriba.domain.errors import InvalidOptionError, ScribaError
from scriba.domain.media import SAMPLE_RATE
from scriba.domain.speakers import CLIP_SECONDS, KnownSpeaker

_FIELD = "known_speaker_references"
_ROUNDING = 0.05
"""Seconds that containers add or take."""


def read_clip(speaker: KnownSpeaker, cancel: CancelToken) -> NDArray[np.float32]:
    """Its sound, 16 kHz mono.

    Raises:
        InvalidOptionError: it is no recording, too short or too long.
    """
    shortest, longest = CLIP_SECONDS
    try:
        with open_recording(io.BytesIO(speaker.clip), DecodeLimits(max_seconds=6 * longest)) as recording:
            audio = np.concatenate(list(recording.blocks(cancel)))
    except ScribaError as error:
        cancel.check()
        raise InvalidOptionError(
            f"{_FIELD}: the clip of {speaker.name!r} cannot be used. {error.message}", field=_FIELD
        ) from error
    seconds = len(audio) / SAMPLE_RATE
    if not shortest - _ROUNDING <= seconds <= longest + _ROUNDING:
        raise InvalidOptionError(
            f"{_FIELD} must be {shortest:g} to {longest:g} seconds long each; the clip of "
            f"{speaker.name!r} has {seconds:.1f}.",
            field=_FIELD,
        )
    return audio


def silent_clip(name: str) -> InvalidOptionError:
    """For a clip without a voice."""
    return InvalidOptionError(f"{_FIELD}: nobody speaks in the clip of {name!r}.", field=_FIELD)
