"""Who speaks in a stream, as it goes: told at once, and put right when it has ended.

No threads, no clock, no I/O: sound is pushed, windows that are due come back to be examined (a step of
inference each, wherever the caller has those done), and what was found is handed in again.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from scriba.domain.cancel import CancelToken
from scriba.domain.media import SAMPLE_RATE
from scriba.domain.speakers import SpeakerOptions, SpeakerTurn, speaker_name
from scriba.domain.transcript import Word
from scriba.speakers.assigning import Speakers
from scriba.speakers.clustering import normalised
from scriba.speakers.frames import WINDOW_SAMPLES
from scriba.speakers.naming import APART, People, find_people, place, turns
from scriba.speakers.timeline import Stretch, stretches
from scriba.speakers.voices import Examined
from scriba.speakers.windows import PAUSE_SECONDS

Audio = NDArray[np.float32]

HOP_SECONDS = 1.0
_NEW_SECONDS = 1.5
"""Speech alone from which somebody who was not heard before is believed to be there."""
_GUESSED_SECONDS = 3.0
"""So far behind what was examined, whoever spoke last is taken to go on; later than that nobody knows."""
_REMEMBERED_SECONDS = 60.0
_REVISED_SECONDS = 5.0
"""The latest window decides anew about so much of the past: the network hears both sides of it now."""


class LiveSpeakers:
    """One stream of 16 kHz mono sound.

    Args:
        options: ``count`` and ``maximum`` bound what is found as it goes; all of them hold for ``finish``.

    ``at`` and ``told`` may be asked on another thread than the one that calls the rest.
    """

    def __init__(self, options: SpeakerOptions) -> None:
        self._options = options
        self._held = np.zeros(0, np.float32)
        self._end = 0
        self._examined = 0
        self._due = round(HOP_SECONDS * SAMPLE_RATE)
        self._windows: list[Examined] = []
        self._sums: list[NDArray[np.float32]] = []
        self._turns: list[SpeakerTurn] = []

    @property
    def seconds(self) -> float:
        """Seconds of sound that came."""
        return self._end / SAMPLE_RATE

    @property
    def examined(self) -> float:
        """Seconds of the stream up to which windows were taken."""
        return self._examined / SAMPLE_RATE

    def push(self, audio: Audio) -> list[tuple[int, Audio]]:
        """Windows that are due with this sound: ``(first sample, up to 10 s)``, for ``voices.examine``."""
        due: list[tuple[int, Audio]] = []
        for start in range(0, len(audio), SAMPLE_RATE):
            block = audio[start : start + SAMPLE_RATE]
            self._held = np.concatenate([self._held, block])[-WINDOW_SAMPLES:]
            self._end += len(block)
            if self._end >= self._due:
                self._due = self._end + round(HOP_SECONDS * SAMPLE_RATE)
                due.append((self._end - len(self._held), self._held.copy()))
        return due

    def rest(self) -> tuple[int, Audio] | None:
        """At the end of the sound: the window that reaches to it, if none was taken that does."""
        if self._examined >= self._end:
            return None
        return self._end - len(self._held), self._held

    def take(self, window: Examined, samples: int) -> None:
        """What was found in a window of so many samples; in order. Windows that are due may be left out as
        long as those that are taken overlap."""
        if samples == WINDOW_SAMPLES and self._examined < WINDOW_SAMPLES:
            self._windows.clear()  # beginnings of this one, which was heard with more behind them
        self._windows.append(window)
        self._examined = window.sample + samples
        self._meet(window)
        people = (
            People(normalised(np.stack(self._sums))) if self._sums else People(np.zeros((0, 0), np.float32))
        )
        if not len(people):
            return
        start = window.sample / SAMPLE_RATE
        found = stretches([place(window, people)], len(people), start + WINDOW_SAMPLES / SAMPLE_RATE)
        # A window's axis begins at frame 0 of its own place in the recording.
        known = {group: speaker_name(group) for group in range(len(people))}
        fresh = turns(found, known, pause=PAUSE_SECONDS)
        cut = max(start, self.examined - _REVISED_SECONDS) if self._turns else 0.0
        self._turns = _before(self._turns, cut) + [
            SpeakerTurn(max(turn.start, cut), turn.end, turn.speaker) for turn in fresh if turn.end > cut
        ]

    def at(self, start: float, end: float) -> str | None:
        """Who speaks, as far as is known now; seconds of the stream. None while nobody knows."""
        if start > self.examined + _GUESSED_SECONDS:
            return None
        return self._lately(start).at(start, end)

    def told(self, words: Sequence[Word]) -> tuple[Word, ...]:
        """Words in order of time, each with who says it as far as is known now."""
        if not words:
            return ()
        latest = self.examined + _GUESSED_SECONDS
        known = [word for word in words if word.start <= latest]
        return (*self._lately(words[0].start).said(known), *words[len(known) :])

    def _lately(self, start: float) -> Speakers:
        return Speakers([turn for turn in self._turns if turn.end > start - _REMEMBERED_SECONDS])

    def finish(self, cancel: CancelToken) -> list[SpeakerTurn]:
        """All turns, once everything was heard: grouped anew, under the names that were told as it went.

        Raises:
            CancelledByUserError: ``cancel`` was set.
        """
        people = find_people(self._windows, self._options, cancel)
        if not len(people):
            return []
        placed = (place(window, people) for window in self._windows)
        found = stretches(placed, len(people), self._end / SAMPLE_RATE)
        return turns(found, self._kept_names(found), pause=PAUSE_SECONDS)

    def _meet(self, window: Examined) -> None:
        """Learn voices: of somebody who is known, or of somebody new."""
        for voice in sorted(window.voices, key=lambda one: -one.alone):
            if voice.alone < _NEW_SECONDS:
                continue
            own = normalised(voice.embedding[None])[0]
            near = np.array([float(own @ person) / np.linalg.norm(person) for person in self._sums])
            most = self._options.most
            full = most is not None and len(self._sums) >= most
            if len(near) and (near.max() > 1 - APART or full):
                self._sums[int(near.argmax())] += own * np.float32(voice.alone)
            else:
                self._sums.append(own * np.float32(voice.alone))

    def _kept_names(self, found: Sequence[Stretch]) -> dict[int, str]:
        """For each group the name under which it was told most, each name once."""
        shared: dict[tuple[int, str], float] = {}
        for stretch in found:
            for turn in self._turns:
                seconds = min(stretch.end, turn.end) - max(stretch.start, turn.start)
                if seconds > 0:
                    key = (stretch.group, turn.speaker)
                    shared[key] = shared.get(key, 0.0) + seconds
        names: dict[int, str] = {}
        for group, name in sorted(shared, key=lambda key: -shared[key]):
            if group not in names and name not in names.values():
                names[group] = name
        free = (name for n in range(len(found) + 1) if (name := speaker_name(n)) not in names.values())
        for stretch in found:
            if stretch.group not in names:
                names[stretch.group] = next(free)
        return names


def _before(told: list[SpeakerTurn], cut: float) -> list[SpeakerTurn]:
    return [SpeakerTurn(one.start, min(one.end, cut), one.speaker) for one in told if one.start < cut]
