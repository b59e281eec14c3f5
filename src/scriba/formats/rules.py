"""How long a subtitle may be, in room and in time."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scriba.domain.errors import InvalidOptionError

MIN_LINE_CHARS = 5
"""Narrower lines cannot hold a word and a punctuation mark of any script."""
MIN_DURATION = 0.2
"""Seconds. Nobody reads a shorter cue."""


def _within(name: str, value: float | None, low: float, high: float) -> None:
    if value is not None and not (low <= value <= high):  # also false for NaN
        shown = repr(value)[:40]
        raise InvalidOptionError(f"{name} must be between {low:g} and {high:g}, not {shown}.", field=name)


@dataclass(frozen=True, slots=True)
class LineRules:
    """Limits on a cue. None means no limit; with none at all a segment is one cue of one line.

    Widths are counted in columns: a wide East Asian character takes two (Unicode Standard Annex 11), a
    combining mark none.

    Attributes:
        max_line_chars: columns in a line. A longer word is broken.
        max_lines: lines in a cue; has an effect only beside ``max_line_chars``.
        max_duration: seconds a cue may last.
        max_gap: seconds of pause inside a segment above which a new cue starts. Needs word times.
        max_chars_per_second: reading speed in columns a second. A cue that is too fast to read stays on
            into the silence after it, never into the next cue. A cue with no silence after it stays fast.
    """

    max_line_chars: int | None = None
    max_lines: int | None = None
    max_duration: float | None = None
    max_gap: float | None = None
    max_chars_per_second: float | None = None

    def __post_init__(self) -> None:
        for name in ("max_line_chars", "max_lines"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
                raise InvalidOptionError(f"{name} must be a whole number, not {value!r}.", field=name)
        _within("max_line_chars", self.max_line_chars, MIN_LINE_CHARS, 10_000)
        _within("max_lines", self.max_lines, 1, 100)
        _within("max_duration", self.max_duration, MIN_DURATION, 3600)
        _within("max_gap", self.max_gap, 0, 3600)
        _within("max_chars_per_second", self.max_chars_per_second, 1, 1000)

    @property
    def needs_words(self) -> bool:
        """Whether word times make these rules work, or work better (splits are proportional without)."""
        return any(
            limit is not None
            for limit in (self.max_line_chars, self.max_lines, self.max_duration, self.max_gap)
        )

    @property
    def max_duration_ms(self) -> int | None:
        return None if self.max_duration is None else math.floor(self.max_duration * 1000)


SUBTITLE_RULES = LineRules(
    max_line_chars=42, max_lines=2, max_duration=7.0, max_gap=2.0, max_chars_per_second=20.0
)
"""What broadcasters ask of Latin-script subtitles: two lines of 42 characters, seven seconds at most."""
