"""What one live stream got."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Heard:
    """Lags and times of first partials are seconds; ``words`` are those that were settled, or are left."""

    lags: list[float] = field(default_factory=list)
    firsts: list[float] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    shown: int = 0
    changed: int = 0
    refused: bool = False

    @property
    def text(self) -> str:
        return "".join(self.words).strip()
