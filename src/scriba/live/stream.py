"""The synchronous half of a session: bytes in, audio heard, events numbered and written down.

Every call may block on the disk or on the processor: none belongs on an event loop. Not for two threads at
once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from scriba.audio.live_container import LiveContainer
from scriba.audio.live_pcm import PIECES_A_SECOND, LivePcm, PcmFormat
from scriba.domain.media import SAMPLE_RATE
from scriba.domain.speakers import SpeakerTurn
from scriba.live.events import DURABLE, LiveEvent, Partial, Refined, SpeakersFound
from scriba.live.hearing import Hearing
from scriba.live.journal import Journal, Logged, audio_blocks
from scriba.live.listener import Listener
from scriba.live.numbered import Finished, Numbered, SessionEvent
from scriba.live.options import LiveOptions
from scriba.live.pace import Effort
from scriba.live.work import Work

FLUSH, FINISH, FRAME = "flush", "finish", "frame"
_MOST_REPLAYED = 10 * SAMPLE_RATE
"""Samples by which the written state may be behind what is still needed."""


class AudioInput(Protocol):
    """Bytes of one stream to 16 kHz mono float32."""

    def push(self, data: bytes) -> NDArray[np.float32]: ...

    def finish(self) -> NDArray[np.float32]: ...

    def close(self) -> None: ...


def open_input(form: PcmFormat | None) -> AudioInput:
    """``form`` None: a container, whose kind is found out."""
    return LivePcm(form) if form is not None else LiveContainer()


class LiveStream:
    """Input, listener and log of one session. ``label`` puts in who speaks, as far as that is known."""

    def __init__(
        self,
        options: LiveOptions,
        form: PcmFormat | None,
        languages: frozenset[str],
        journal: Journal,
        label: Callable[[LiveEvent], LiveEvent] | None = None,
    ) -> None:
        self._label = label
        self.listener = Listener(options, languages)
        self._form = form
        self._input = open_input(form)
        self._journal = journal
        self._seq = 0
        self._position = 0
        self._written_from = 0
        self.finished = False

    @property
    def seq(self) -> int:
        """Number of the last event that was kept."""
        return self._seq

    @property
    def received(self) -> int:
        """Bytes of audio in the log."""
        return self._journal.received

    @property
    def seconds(self) -> float:
        """Seconds of audio that came."""
        return self._position / SAMPLE_RATE

    @property
    def waiting_seconds(self) -> float:
        """Seconds of audio held in memory."""
        ring = self.listener.window.audio
        return (ring.end - max(ring.start, self.listener.window.start)) / SAMPLE_RATE

    def replay(self, folder: Path, logged: Logged) -> None:
        """Come to where the log ends: the state as it was written, all audio behind it to be heard."""
        self._seq = logged.events[-1].seq if logged.events else 0
        if logged.state is not None:
            self.listener.restore(logged.state)
        controls = deque(control for control in logged.controls if control.kind != FRAME)
        stops = [control.at for control in controls]
        start = self._skip()

        def obey(position: int) -> None:
            while controls and controls[0].at <= position:
                self._obey(controls.popleft().kind)

        obey(start)
        for position, data in audio_blocks(folder, start, self._journal.received, stops):
            self._feed(self._input.push(data))
            obey(position)
        for control in controls:
            self._obey(control.kind)

    def _skip(self) -> int:
        """Bytes of the log that need not be decoded again, of which ``_position`` is told.

        A resampler is in step at every whole second, and has forgotten where it began long before the next.
        A container must be read from its beginning.
        """
        form = self._form
        if form is None or form.sample_rate % PIECES_A_SECOND:
            return 0
        seconds = max(0, self.listener.received // SAMPLE_RATE - 1)
        self._position = seconds * SAMPLE_RATE
        return min(seconds * form.bytes_per_second, self._journal.received)

    def ingest(self, items: Sequence[bytes | str]) -> None:
        """Audio and controls in the order in which they came: written down first, then taken in."""
        for item in items:
            if isinstance(item, str):
                self._journal.control(item)
                self._obey(item)
            else:
                self._journal.audio(item)
                self._feed(self._input.push(item))

    def next_work(self, effort: Effort) -> Work | None:
        return self.listener.next_work(effort)

    def renew(self, work: Work, effort: Effort) -> Work | None:
        """What to hear instead of work that was not begun yet."""
        return self.listener.renew(work, effort)

    def take(self, work: Work, hearing: Hearing) -> None:
        self.listener.take(work, hearing)

    @property
    def has_events(self) -> bool:
        return self.listener.has_events

    def events(self) -> list[Numbered]:
        """What happened since the last call; what is to be kept is in the log before it is returned."""
        events = self.listener.events()
        return self._number(events if self._label is None else [self._label(own) for own in events])

    def end(self, event: SessionEvent) -> list[Numbered]:
        """The last event of the session."""
        return self._number([event])

    def finish(
        self, turns: Sequence[SpeakerTurn] | None = None, refined: Refined | None = None
    ) -> list[Numbered]:
        """All was heard; ``turns`` were found, and it was heard again, if that was asked for."""
        found: list[SessionEvent] = [] if refined is None else [refined]
        if turns is not None:
            found.append(SpeakersFound(tuple(turns)))
        return self._number([*found, Finished(round(self.seconds, 3))])

    def sync(self, frame: int | None = None) -> int:
        """Bytes of audio that are safe on the disk; ``frame`` is the client's number of the last of them."""
        received = self._journal.received
        needed = self.listener.needed_from
        if needed - self._written_from > _MOST_REPLAYED:
            # In silence nothing happens that would be written down.
            self._written_from = needed
            self._journal.step((), self.listener.state())
        if frame is not None:
            self._journal.control(FRAME, frame)
        self._journal.sync()
        return received

    def close(self) -> None:
        self._input.close()
        self._journal.close()

    def _feed(self, samples: NDArray[np.float32]) -> None:
        start = self._position
        self._position += len(samples)
        # After a restart the beginning is decoded again, but not heard again.
        known = self.listener.received
        if self._position > known:
            self.listener.hear(samples[max(0, known - start) :])

    def _obey(self, kind: str) -> None:
        if kind == FRAME:
            return
        if kind == FINISH and not self.finished:
            self._feed(self._input.finish())
            self.finished = True
        self.listener.end_utterance()

    def _number(self, events: Sequence[SessionEvent]) -> list[Numbered]:
        numbered: list[Numbered] = []
        for event in events:
            kept = isinstance(event, DURABLE) or not isinstance(event, Partial)
            if kept:
                self._seq += 1
            numbered.append(Numbered(self._seq, event, kept))
        kept_ones = [own for own in numbered if own.kept]
        if kept_ones:
            self._written_from = self.listener.needed_from
            self._journal.step(kept_ones, self.listener.state())
        return numbered
