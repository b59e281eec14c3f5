"""When somebody speaks, as the audio comes: marks at sample positions that depend on the audio alone.

The state of the network is begun afresh at the end of each utterance, so that a session can be taken up again
from there without hearing what came before.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from scriba.audio.vad import FRAME, SpeechProbability
from scriba.domain.media import SAMPLE_RATE
from scriba.live.options import EndpointOptions

_BEGINS = 3
"""Frames of speech in a row that begin an utterance: a click has one or two."""
_RESUMES = 2
_HYSTERESIS = 0.15
_FRESH = 60 * SAMPLE_RATE // FRAME
"""Frames of silence after which the network begins afresh."""


class MarkKind(Enum):
    START = "start"
    PAUSE = "pause"
    RESUME = "resume"
    END = "end"
    FLUSH = "flush"
    """The client's, not the voice's: whatever came before it is complete."""


@dataclass(frozen=True, slots=True)
class Mark:
    """``edge`` is the sample where speech began or ended; ``at`` the one at which that was certain."""

    kind: MarkKind
    at: int
    edge: int


class _State(Enum):
    """SILENT --START--> SPEAKING --PAUSE--> PAUSED --RESUME--> SPEAKING; PAUSED --END--> SILENT."""

    SILENT = "silent"
    SPEAKING = "speaking"
    PAUSED = "paused"


@dataclass(slots=True)
class Endpointer:
    """Marks of one stream. ``position`` is the sample up to which it has listened.

    ``fresh_from`` is the sample from which all audio must be heard again to come to the present state.
    """

    options: EndpointOptions
    position: int = 0
    fresh_from: int = 0
    speaking: bool = False
    _probability: SpeechProbability = field(default_factory=SpeechProbability)
    _rest: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    _state: _State = _State.SILENT
    _run: int = 0
    _silence: int = 0
    _idle: int = 0
    _frames: list[float] = field(default_factory=list)
    _frames_from: int = 0

    def __post_init__(self) -> None:
        self._frames_from = self.position

    @property
    def received(self) -> int:
        """Samples that came, those of an incomplete frame included."""
        return self.position + len(self._rest)

    def push(self, block: NDArray[np.float32]) -> list[Mark]:
        """16 kHz mono float32 audio of any length in; the marks it makes, in order."""
        audio = np.concatenate((self._rest, block)) if len(self._rest) else block
        marks: list[Mark] = []
        start = 0
        while len(audio) - start >= FRAME:
            # The network is begun afresh at marks, so that it must not run ahead of them by much.
            end = start + min((len(audio) - start) // FRAME, 16) * FRAME
            network = self._probability
            for probability in network.push(audio[start:end]).tolist():
                start += FRAME
                marks += self._hear(probability)
                if self._probability is not network:
                    break
        self._rest = np.array(audio[start:], np.float32)
        return marks

    def end_now(self) -> list[Mark]:
        """The client says that the utterance ends here."""
        if self._state is _State.SILENT:
            return []
        edge = self.position
        if self._state is _State.PAUSED:
            edge -= self._silence * FRAME
        self._begin_afresh()
        return [Mark(MarkKind.END, self.position, edge)]

    def probability_between(self, start: int, end: int) -> float:
        """Mean probability of speech between two samples of the present utterance."""
        first = max(0, (start - self._frames_from) // FRAME)
        last = max(first + 1, -(-(end - self._frames_from) // FRAME))
        inside = self._frames[first:last]
        return float(np.mean(inside)) if inside else 0.0

    def voiced_seconds(self, start: int, end: int) -> float:
        """Seconds of voice between two samples of the present utterance."""
        first = max(0, (start - self._frames_from) // FRAME)
        last = max(first, -(-(end - self._frames_from) // FRAME))
        threshold = self.options.threshold
        return sum(p >= threshold for p in self._frames[first:last]) * FRAME / SAMPLE_RATE

    def _hear(self, probability: float) -> list[Mark]:
        begun = self.position
        self.position += FRAME
        self._frames.append(probability)
        self._forget_old()
        voiced = probability >= self.options.threshold
        silent = probability < max(0.01, self.options.threshold - _HYSTERESIS)
        if self._state is _State.SILENT:
            return self._wait(begun, voiced=voiced)
        self._run = self._run + 1 if voiced else 0
        if silent:
            self._silence += 1
        elif self._state is _State.SPEAKING or self._run >= _RESUMES:
            self._silence = 0
        elif self._silence:
            self._silence += 1  # a frame in between: neither speech again nor an end of the silence
        return self._speak()

    def _wait(self, begun: int, *, voiced: bool) -> list[Mark]:
        self._run = self._run + 1 if voiced else 0
        self._idle += 1
        if self._run >= _BEGINS:
            self._state, self.speaking = _State.SPEAKING, True
            edge = begun - (_BEGINS - 1) * FRAME
            self._run = self._silence = 0
            return [Mark(MarkKind.START, self.position, edge)]
        if self._idle >= _FRESH and not voiced:
            self._begin_afresh()
        return []

    def _speak(self) -> list[Mark]:
        edge = self.position - self._silence * FRAME
        lasted = self._silence * FRAME / SAMPLE_RATE
        if self._state is _State.SPEAKING and lasted >= self.options.pause:
            self._state = _State.PAUSED
            return [Mark(MarkKind.PAUSE, self.position, edge)]
        if self._state is _State.PAUSED:
            if not self._silence:
                self._state = _State.SPEAKING
                return [Mark(MarkKind.RESUME, self.position, self.position - _RESUMES * FRAME)]
            if self.options.automatic and lasted >= self.options.end:
                self._begin_afresh()
                return [Mark(MarkKind.END, self.position, edge)]
        return []

    def _begin_afresh(self) -> None:
        self._state, self.speaking = _State.SILENT, False
        self._run = self._silence = self._idle = 0
        self._probability = SpeechProbability()
        self.fresh_from = self.position

    def _forget_old(self) -> None:
        if len(self._frames) > 4096:
            self._frames_from += 2048 * FRAME
            del self._frames[:2048]
