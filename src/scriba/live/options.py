"""What may be asked of a live session, and how soon its words are settled."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

from scriba.domain.options import LanguagePolicy
from scriba.domain.speakers import SpeakerOptions
from scriba.domain.transcript import Task


class Delay(StrEnum):
    """How long a word may be thought about: the names are those of OpenAI's Realtime API."""

    MINIMAL = "minimal"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    XHIGH = "xhigh"


_LEAST_CLEAR = 0.5


@dataclass(frozen=True, slots=True)
class SettlePolicy:
    """When a word may be settled. All times are seconds of audio (docs/live.md has the measurements).

    ``first`` after speech begins, and then every ``step``, what is not settled is heard again. A word is
    settled when it ends ``clear`` before the edge of the audio and has at least ``sure`` probability. Where
    the hearing before said the same, it is enough to end ``agreed_clear`` before the edge with a probability
    of ``agreed_sure``, or ``agreed_far`` before it. After ``patience`` a word is settled however unsure it
    is.
    """

    first: float = 0.3
    step: float = 0.4
    clear: float = 1.2
    sure: float = 0.9
    agreed_clear: float = 0.4
    agreed_sure: float = 0.8
    agreed_far: float = 1.0
    patience: float = 1.8

    def agreed_room(self, probability: float) -> float:
        """How long before the edge a word of this probability has to end that two hearings agree on."""
        return max(self.agreed_clear, 0.0 if probability >= self.agreed_sure else self.agreed_far)

    def at(self, stretch: float) -> SettlePolicy:
        """The same when hearings are ``stretch`` steps apart: what is waited longer for a hearing is waited
        less for evidence, down to a bound."""
        longer = (stretch - 1) * self.step
        if not longer:
            return self
        own = _SOONER if self.agreed_sure else self
        clear = max(min(own.clear, _LEAST_CLEAR), own.clear - longer / 2)
        return replace(own, clear=clear, patience=max(clear, own.patience - longer))

    @classmethod
    def for_delay(cls, delay: Delay) -> SettlePolicy:
        """``low`` is chosen by measurement; the others trade seconds for words (``benchmarks.live_policy``
        measures each)."""
        return _BY_DELAY[delay]


_SOONER = SettlePolicy(clear=0.8, sure=0.5, agreed_clear=0.3, agreed_sure=0.0, patience=1.5)
"""With less evidence, where hearings are rare anyway."""
_BY_DELAY = {
    Delay.MINIMAL: SettlePolicy(
        step=0.3, clear=0.6, sure=0.6, agreed_clear=0.2, agreed_sure=0.0, patience=1.4
    ),
    Delay.LOW: SettlePolicy(),
    Delay.MEDIUM: SettlePolicy(
        step=0.7, clear=1.2, sure=0.6, agreed_clear=0.7, agreed_sure=0.0, patience=2.5
    ),
    Delay.HIGH: SettlePolicy(step=1.0, clear=1.6, sure=0.6, agreed_clear=0.8, agreed_sure=0.0, patience=4.0),
    Delay.XHIGH: SettlePolicy(step=1.5, clear=2.4, sure=0.6, agreed_clear=1.2, agreed_sure=0.0, patience=6.0),
}


@dataclass(frozen=True, slots=True)
class EndpointOptions:
    """When somebody speaks and when they have ended; silero-vad's probabilities, times in seconds.

    What was said is heard again after ``pause`` of silence; after ``end`` of it the utterance has ended.
    ``automatic`` False leaves the end to the client.
    """

    threshold: float = 0.5
    pause: float = 0.35
    end: float = 0.8
    padding: float = 0.3
    shortest: float = 0.2
    automatic: bool = True


@dataclass(frozen=True, slots=True)
class WindowBounds:
    """Seconds of sound that are heard together (docs/live.md has the measurements).

    A window grows to ``longest``; then its beginning is left behind, and at least ``least`` stay: with less
    sound before them words are heard worse. ``thrifty``: both of a machine that is full.
    """

    longest: float = 16.0
    least: float = 9.0
    thrifty: tuple[float, float] = (12.0, 8.0)


@dataclass(frozen=True, slots=True)
class LiveOptions:
    """One session. ``model`` None means the server's default."""

    model: str | None = None
    task: Task = Task.TRANSCRIBE
    language: LanguagePolicy = field(default_factory=LanguagePolicy)
    settle: SettlePolicy = field(default_factory=SettlePolicy)
    endpoint: EndpointOptions = field(default_factory=EndpointOptions)
    window: WindowBounds = field(default_factory=WindowBounds)
    prompt: str | None = None
    hotwords: str | None = None
    beam_size: int = 5
    """Width of the search while the machine has room; else, and for the first look, it is greedy."""
    guards: bool = True
    speakers: SpeakerOptions | None = None
    """Tell who speaks; a number and its bounds count, known speakers and channels do not."""
    refine: bool = False
    """Hear all of it once more when it has ended."""
