"""Keeping the times true: where a file skips time, silence stands in for it.

Recorders that send nothing while nobody speaks (webm with DTX, one file a participant) and files with lost
packets have holes between timestamps. Played end to end, everything after a hole would come out early.
"""

from __future__ import annotations

TOLERANCE = 0.2
"""Seconds a timestamp may be ahead before it is believed: less is jitter or rounding, and cutting silence
into a word for it does harm."""
LONGEST_GAP = 600.0
"""Seconds of silence one gap may make. A jump further ahead is a broken clock, not a pause."""
LONGEST_TOTAL = 3600.0
"""Seconds of silence all gaps of a file may make together."""
RESET_BEHIND = 10.0
"""A timestamp that many seconds back is a clock that started anew (joined files), not jitter."""


class Timeline:
    """Compares each frame's timestamp with the audio so far. All times in seconds of the file's clock."""

    def __init__(self, start: float | None) -> None:
        self._origin = start
        self._elapsed = 0.0
        self.filled = 0.0
        """Seconds of silence asked for so far."""

    def silence_before(self, timestamp: float | None) -> float:
        """Seconds of silence that belong before a frame with this timestamp; 0 when it follows on.

        A frame without a timestamp follows on. A jump beyond the bounds makes no silence: the clock is
        taken to start anew there.
        """
        if timestamp is None:
            return 0.0
        if self._origin is None:
            self._origin = timestamp
        ahead = timestamp - self._origin - self._elapsed
        if ahead > LONGEST_GAP or ahead < -RESET_BEHIND or self.filled + max(ahead, 0.0) > LONGEST_TOTAL:
            self._origin = timestamp - self._elapsed
            return 0.0
        if ahead <= TOLERANCE:
            return 0.0
        self.filled += ahead
        self._elapsed += ahead
        return ahead

    def advance(self, seconds: float) -> None:
        """Count a frame's own length."""
        self._elapsed += seconds
