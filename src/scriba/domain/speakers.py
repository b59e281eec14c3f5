"""Who speaks: what may be asked, and what is answered.

Every bound is checked on construction; afterwards nobody checks again.
"""

from __future__ import annotations

from dataclasses import dataclass

from scriba.domain.errors import InvalidOptionError

MAX_SPEAKERS = 64
"""More voices than that nobody tells apart."""
MAX_KNOWN = 4
"""Speakers that may be known by name (OpenAI's bound)."""
CLIP_SECONDS = (2.0, 10.0)
"""Shortest and longest clip that shows a known speaker's voice (OpenAI's bounds)."""
MAX_CLIP_BYTES = 2_000_000
"""The largest clip: ten seconds of 48 kHz stereo in 16 bits have 1,920,000."""
_LONGEST_NAME = 64


@dataclass(frozen=True, slots=True)
class SpeakerTurn:
    """``speaker`` speaks from ``start`` to ``end``, in seconds of the recording. Turns may overlap."""

    start: float
    end: float
    speaker: str


@dataclass(frozen=True, slots=True)
class KnownSpeaker:
    """A voice with a name. ``clip`` is a recording of it in any container, 2 to 10 seconds."""

    name: str
    clip: bytes

    def __post_init__(self) -> None:
        if not self.name.strip() or len(self.name) > _LONGEST_NAME or not self.name.isprintable():
            raise InvalidOptionError(
                f"known_speaker_names must be 1 to {_LONGEST_NAME} printable characters each, "
                f"not {self.name[:_LONGEST_NAME]!r} ({len(self.name)}).",
                field="known_speaker_names",
            )
        if not 0 < len(self.clip) <= MAX_CLIP_BYTES:
            raise InvalidOptionError(
                f"known_speaker_references must hold 1 to {MAX_CLIP_BYTES} bytes each, not {len(self.clip)}.",
                field="known_speaker_references",
            )


@dataclass(frozen=True, slots=True)
class SpeakerOptions:
    """A wish to know who speaks.

    ``count`` is how many speakers there are, where somebody knows; ``minimum`` and ``maximum`` bound what is
    found. With ``channels`` every channel of the recording is a speaker of its own.
    """

    count: int | None = None
    minimum: int | None = None
    maximum: int | None = None
    known: tuple[KnownSpeaker, ...] = ()
    channels: bool = False

    def __post_init__(self) -> None:
        for name, value in (
            ("num_speakers", self.count),
            ("min_speakers", self.minimum),
            ("max_speakers", self.maximum),
        ):
            if value is not None and not 1 <= value <= MAX_SPEAKERS:
                raise InvalidOptionError(
                    f"{name} must be between 1 and {MAX_SPEAKERS}, not {value}.", field=name
                )
        self._check_bounds()
        if len(self.known) > MAX_KNOWN:
            raise InvalidOptionError(
                f"known_speaker_names must hold at most {MAX_KNOWN} names, not {len(self.known)}.",
                field="known_speaker_names",
            )
        names = [speaker.name for speaker in self.known]
        if len(set(names)) < len(names):
            raise InvalidOptionError(
                "known_speaker_names must differ from one another.", field="known_speaker_names"
            )
        if self.channels and (self.known or any((self.count, self.minimum, self.maximum))):
            raise InvalidOptionError(
                "speaker_channels makes every channel a speaker: it does not go with a number of speakers or "
                "with known speakers.",
                field="speaker_channels",
            )

    def _check_bounds(self) -> None:
        if self.count is not None and (self.minimum is not None or self.maximum is not None):
            raise InvalidOptionError(
                "num_speakers says how many there are: send it without min_speakers and max_speakers.",
                field="num_speakers",
            )
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise InvalidOptionError(
                f"min_speakers must be at most max_speakers ({self.maximum}), not {self.minimum}.",
                field="min_speakers",
            )

    @property
    def least(self) -> int:
        return self.count or self.minimum or 1

    @property
    def most(self) -> int | None:
        return self.count or self.maximum


def speaker_name(number: int) -> str:
    """``SPEAKER_00`` for the first: what pyannote and its users call speakers without a name."""
    return f"SPEAKER_{number:02d}"
