"""From windows that overlap, each with its own speakers, to one timeline of turns."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scriba.speakers.frames import WINDOW_FRAMES, Activity, first_frame, frame_time

_MIDDLE = np.minimum(np.arange(1, WINDOW_FRAMES + 1), np.arange(WINDOW_FRAMES, 0, -1)) / (WINDOW_FRAMES / 2)
_TRUST = np.maximum(_MIDDLE, 0.05).astype(np.float32)[:, None]
"""How much a frame of a window counts: the network hears both sides of what is in the middle."""


_LEAST_SECONDS = 0.1
"""Nobody says anything in less."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Someone speaks without a break: ``group`` from ``start`` to ``end``, in seconds of the recording."""

    start: float
    end: float
    group: int


@dataclass(frozen=True, slots=True)
class Placed:
    """A window at ``sample`` (16 kHz); ``groups`` is the group of each local speaker, -1 for nobody."""

    sample: int
    activity: Activity
    groups: tuple[int, ...]


def stretches(windows: Iterable[Placed], groups: int, duration: float) -> list[Stretch]:
    """Who speaks when, in order of start. Windows are in order; memory does not grow with their number.

    Args:
        groups: how many there are.
        duration: seconds of the recording: nobody speaks after it.
    """
    drawer = _Drawer(groups, duration)
    for window in windows:
        drawer.add(window)
    return drawer.finish()


class _Drawer:
    def __init__(self, groups: int, duration: float) -> None:
        self._groups = groups
        self._duration = duration
        self._first = 0
        self._votes = np.zeros((0, groups), np.float32)
        self._count = np.zeros((0, 1), np.float32)
        self._trust = np.zeros((0, 1), np.float32)
        self._since: list[int | None] = [None] * groups
        self._found: list[Stretch] = []

    def add(self, window: Placed) -> None:
        start = first_frame(window.sample)
        if start > self._first:
            self._settle(start)
        needed = start + WINDOW_FRAMES - self._first - len(self._votes)
        if needed > 0:
            self._votes = np.concatenate([self._votes, np.zeros((needed, self._groups), np.float32)])
            self._count = np.concatenate([self._count, np.zeros((needed, 1), np.float32)])
            self._trust = np.concatenate([self._trust, np.zeros((needed, 1), np.float32)])
        part = slice(start - self._first, start - self._first + WINDOW_FRAMES)
        own = np.zeros((WINDOW_FRAMES, self._groups), np.bool_)
        for column, group in enumerate(window.groups):
            if group >= 0:
                own[:, group] |= window.activity[:, column]
        self._votes[part] += own * _TRUST
        self._count[part] += window.activity.sum(axis=1, keepdims=True) * _TRUST
        self._trust[part] += _TRUST

    def finish(self) -> list[Stretch]:
        self._settle(self._first + len(self._votes))
        for group in range(self._groups):
            self._end(group, self._first)
        return sorted(self._found, key=lambda one: (one.start, one.end, one.group))

    def _settle(self, until: int) -> None:
        """Decide the frames before ``until``: no later window tells of them."""
        frames = until - self._first
        if frames <= 0:
            return
        active = self._active(frames)
        before = np.array([since is not None for since in self._since], np.bool_)
        changes = np.diff(np.vstack([before[None], active]).astype(np.int8), axis=0)
        for frame, group in np.argwhere(changes):
            at = self._first + int(frame)
            if changes[frame, group] > 0:
                self._since[group] = at
            else:
                self._end(int(group), at)
        self._votes, self._count, self._trust = (
            self._votes[frames:],
            self._count[frames:],
            self._trust[frames:],
        )
        self._first = until

    def _active(self, frames: int) -> NDArray[np.bool_]:
        """The most trusted groups of each frame, as many as speak at once."""
        trust = np.maximum(self._trust[:frames], 1e-6)
        speaking = np.rint(self._count[:frames] / trust).astype(np.int64)
        votes = self._votes[:frames]
        rank = (-votes).argsort(axis=1, kind="stable").argsort(axis=1, kind="stable")
        active: NDArray[np.bool_] = (rank < speaking) & (votes > 0)
        return active

    def _end(self, group: int, frame: int) -> None:
        since = self._since[group]
        self._since[group] = None
        if since is None:
            return
        start, end = frame_time(since - 0.5), frame_time(frame - 0.5)
        start, end = max(0.0, start), min(end, self._duration)
        if end - start >= _LEAST_SECONDS:
            self._found.append(Stretch(round(start, 3), round(end, 3), group))
