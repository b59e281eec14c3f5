"""The wish to know who speaks, as fields of a form: shared by the doors that take one."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

from scriba.domain.errors import InvalidOptionError
from scriba.domain.speakers import MAX_CLIP_BYTES, MAX_KNOWN, KnownSpeaker, SpeakerOptions
from scriba.doors.forms import boolean, integer, items, scalar

Fields = Mapping[str, list[str]]

LISTS = ("known_speaker_names", "known_speaker_references")
FIELDS = ("diarize", "num_speakers", "min_speakers", "max_speakers", "speaker_channels")
FORM_BYTES = MAX_KNOWN * (4 * -(-MAX_CLIP_BYTES // 3) + 1_000) + 1_000_000
"""What the fields of a form with known speakers may hold together."""
_LONGEST_REFERENCE = 4 * -(-MAX_CLIP_BYTES // 3) + 200


def speaker_options(form: Fields, *, asked: bool = False) -> SpeakerOptions | None:
    """What the form asks of speakers; None where it asks nothing, and ``asked`` is not set by something else.

    Raises:
        InvalidOptionError: a value is wrong, or contradicts another.
    """
    wanted = boolean(form, "diarize")
    known = _known(form)
    options = SpeakerOptions(
        count=integer(form, "num_speakers"),
        minimum=integer(form, "min_speakers"),
        maximum=integer(form, "max_speakers"),
        known=known,
        channels=boolean(form, "speaker_channels") or False,
    )
    sent = [name for name in FIELDS[1:] if scalar(form, name) is not None] + (
        ["known_speaker_names"] * bool(known)
    )
    _check_wish(wanted, sent)
    if wanted is False and asked:
        raise InvalidOptionError("diarize is false, but the format asks for speakers.", field="diarize")
    return options if wanted or sent or asked else None


def speaker_numbers(
    diarize: bool | None, count: int | None, minimum: int | None, maximum: int | None
) -> SpeakerOptions | None:
    """The same of a message in JSON, where there are no known speakers and no channels.

    Raises:
        InvalidOptionError: as ``speaker_options``.
    """
    options = SpeakerOptions(count=count, minimum=minimum, maximum=maximum)
    numbers = zip(FIELDS[1:4], (count, minimum, maximum), strict=True)
    sent = [name for name, value in numbers if value is not None]
    _check_wish(diarize, sent)
    return options if diarize or sent else None


def _check_wish(wanted: bool | None, sent: list[str]) -> None:
    if wanted is False and sent:
        raise InvalidOptionError(f"diarize is false, but {sent[0]} asks for speakers.", field="diarize")


def _known(form: Fields) -> tuple[KnownSpeaker, ...]:
    names, references = items(form, LISTS[0]), items(form, LISTS[1])
    if len(names) != len(references):
        raise InvalidOptionError(
            f"known_speaker_names and known_speaker_references must be as many: {len(names)} and "
            f"{len(references)} were sent.",
            field="known_speaker_references" if names else "known_speaker_names",
        )
    if len(names) > MAX_KNOWN:
        raise InvalidOptionError(
            f"known_speaker_names must hold at most {MAX_KNOWN} names, not {len(names)}.",
            field="known_speaker_names",
        )
    pairs = zip(names, references, strict=True)
    return tuple(KnownSpeaker(name, _clip(name, reference)) for name, reference in pairs)


def _clip(name: str, reference: str) -> bytes:
    """The bytes of a data URL (RFC 2397), in base64. Its media type is not believed."""
    head, comma, data = reference.partition(",")
    if not comma or not head.lower().startswith("data:") or not head.lower().endswith(";base64"):
        raise InvalidOptionError(
            f"known_speaker_references must be data URLs in base64 (data:audio/wav;base64,...); that of "
            f"{name[:60]!r} is not.",
            field="known_speaker_references",
        )
    if len(data) > _LONGEST_REFERENCE:
        raise InvalidOptionError(
            f"known_speaker_references must hold at most {MAX_CLIP_BYTES} bytes each.",
            field="known_speaker_references",
        )
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidOptionError(
            f"known_speaker_references: that of {name[:60]!r} is no valid base64.",
            field="known_speaker_references",
        ) from None
