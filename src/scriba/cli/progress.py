"""Progress on the standard error, only where a person is looking."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text

_NAME_CHARS = 40
"""The end of a longer name is shown: that is where files of one folder differ."""


class Report(Protocol):
    """Takes how much is done of how much, ``total`` None where nobody knows yet; ``name`` renames the bar."""

    def __call__(self, done: float, total: float | None, name: str | None = None) -> None: ...


class ClockColumn(ProgressColumn):
    """Sound done and sound there is, such as ``1:05 / 44:10``."""

    def render(self, task: Task) -> Text:
        total = "?" if task.total is None else clock(task.total)
        return Text(f"{clock(task.completed)} / {total}", style="progress.download")


class FactorColumn(ProgressColumn):
    """How many seconds of sound are done in a second."""

    def render(self, task: Task) -> Text:
        elapsed = task.elapsed or 0.0
        return Text(f"{task.completed / elapsed:.1f}x" if elapsed > 1 and task.completed else "")


def clock(seconds: float) -> str:
    """``m:ss``, or ``h:mm:ss`` from an hour on."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@contextmanager
def listening(name: str) -> Generator[Report]:
    """A bar of seconds of sound; it goes away at the end. Nothing where the standard error is a file."""
    with _bar(name, BarColumn(), ClockColumn(), FactorColumn(), TimeRemainingColumn()) as report:
        yield report


@contextmanager
def fetching(name: str) -> Generator[Report]:
    """A bar of bytes; it goes away at the end."""
    with _bar(name, BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()) as report:
        yield report


@contextmanager
def counting(name: str) -> Generator[Report]:
    """A bar of things done; it goes away at the end."""
    with _bar(name, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()) as report:
        yield report


@contextmanager
def _bar(name: str, *columns: ProgressColumn) -> Generator[Report]:
    console = Console(stderr=True)
    label = TextColumn("{task.description}", markup=False)
    with Progress(
        label, *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        shown, task = name, progress.add_task(_short(name), total=None)

        def report(done: float, total: float | None, name: str | None = None) -> None:
            nonlocal shown, task
            if name is not None and name != shown:
                # A step of its own has a bar of its own: its total may not be known.
                progress.remove_task(task)
                shown, task = name, progress.add_task(_short(name), total=None)
            progress.update(task, completed=done, total=total)

        yield report


def _short(name: str) -> str:
    return name if len(name) <= _NAME_CHARS else "…" + name[1 - _NAME_CHARS :]
