"""The replay log of one session: a folder of append-only files.

``session.json``: what was asked, written once. ``audio``: the client's bytes as they came. ``controls``: one
line of JSON for each flush or finish, with the bytes that came before it. ``events``: one line for each step
of listening, with the events it made and the state it led to.

A line counts when its line end is there. Everything is handed to the operating system at once, so that the
end of the process loses nothing; ``sync`` makes it outlast the machine, and only then is it acknowledged.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from scriba.live.numbered import Numbered, from_record, to_record

_BLOCK = 1 << 18


@dataclass(frozen=True, slots=True)
class Control:
    """``flush`` or ``finish``, behind so many bytes of audio; ``frame`` says which frame ended there."""

    kind: str
    at: int
    frame: int | None = None


class Journal:
    """Opened for writing; blocking. Not for two threads at once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._audio = _append(folder / "audio")
        self._controls = _append(folder / "controls")
        self._events = _append(folder / "events")
        self.received = self._audio.tell()
        self._dirty = False

    @classmethod
    def create(cls, folder: Path, meta: dict[str, Any]) -> Journal:
        """Begin the log of a new session."""
        folder.mkdir(parents=True, mode=0o700)
        draft = folder / "session.draft"
        draft.write_text(json.dumps(meta, ensure_ascii=False), encoding="utf-8")
        draft.replace(folder / "session.json")
        return cls(folder)

    @classmethod
    def reopen(cls, folder: Path, *, sequenced: bool = False) -> Journal:
        """Go on with the log of a session that a process left behind; a half-written line is cut off.

        Args:
            sequenced: the client numbers its frames: audio behind the last whole one is cut off, too.
        """
        for name in ("controls", "events"):
            path = folder / name
            if path.exists():
                data = path.read_bytes()
                whole = data.rfind(b"\n") + 1
                if whole < len(data):
                    os.truncate(path, whole)
        if sequenced:
            os.truncate(folder / "audio", max((own.at for own in read_controls(folder)), default=0))
        return cls(folder)

    def audio(self, data: bytes) -> None:
        self._audio.write(data)
        self.received += len(data)
        self._dirty = True

    def control(self, kind: str, frame: int | None = None) -> None:
        self._line(self._controls, {"kind": kind, "at": self.received, "frame": frame})

    def step(self, events: Sequence[Numbered], state: dict[str, Any] | None) -> None:
        """Events that are kept, and the state they lead to; together or not at all."""
        self._line(self._events, {"events": [to_record(own) for own in events], "state": state})

    def sync(self) -> None:
        """Return when all of it is on the disk itself."""
        if self._dirty:
            self._dirty = False
            for file in (self._audio, self._controls, self._events):
                os.fdatasync(file.fileno())

    def close(self) -> None:
        for file in (self._audio, self._controls, self._events):
            file.close()

    def _line(self, file: BinaryIO, body: dict[str, Any]) -> None:
        file.write(json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
        self._dirty = True


def _append(path: Path) -> BinaryIO:
    file = path.open("ab", buffering=0)
    file.seek(0, os.SEEK_END)
    return file


@dataclass(frozen=True, slots=True)
class Logged:
    """What a log holds, audio apart. ``state`` is that of its last step; None before there was one."""

    meta: dict[str, Any]
    events: tuple[Numbered, ...]
    state: dict[str, Any] | None
    controls: tuple[Control, ...]

    @classmethod
    def read(cls, folder: Path) -> Logged | None:
        """None where there is no session."""
        try:
            meta = json.loads((folder / "session.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        events: list[Numbered] = []
        state: dict[str, Any] | None = None
        for line in _lines(folder / "events"):
            events += [from_record(record) for record in line["events"]]
            state = line["state"] or state
        return cls(meta, tuple(events), state, read_controls(folder))

    @property
    def frame(self) -> int:
        """Number of the last frame that is on disk; 0 where frames have none."""
        return max((own.frame for own in self.controls if own.frame is not None), default=0)


def read_controls(folder: Path) -> tuple[Control, ...]:
    return tuple(Control(line["kind"], line["at"], line.get("frame")) for line in _lines(folder / "controls"))


def audio_blocks(folder: Path, start: int, end: int, stops: Sequence[int]) -> Iterator[tuple[int, bytes]]:
    """The client's bytes from ``start`` to ``end``, each block with the offset behind it; no block crosses a
    stop."""
    position = start
    bounds = [*sorted({stop for stop in stops if 0 < stop < end}), end]
    with (folder / "audio").open("rb") as file:
        file.seek(start)
        for bound in bounds:
            while position < bound:
                data = file.read(min(_BLOCK, bound - position))
                if not data:
                    return
                position += len(data)
                yield position, data


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with path.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    return
                yield json.loads(line)
    except FileNotFoundError:
        return
