"""A transcriber that hears what the test says, for tests of the command line itself."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scriba.domain.cancel import CancelToken
from scriba.domain.errors import UnsupportedMediaError
from scriba.domain.events import Event, Finished, Progress, SegmentReady
from scriba.domain.options import TranscribeOptions
from scriba.domain.transcript import Segment, Task, Transcript
from scriba.server.settings import Settings
from scriba.transcribe.port import Source


class FakeTranscriber:
    """Says back the file's bytes as one segment. A file that holds ``bad`` is no media; one that holds
    ``crash`` meets a fault of Scriba's own; one that holds ``forever`` runs until it is cancelled."""

    def __init__(self) -> None:
        self.options: list[TranscribeOptions] = []
        self.cancelled = threading.Event()
        self.started = threading.Event()

    def run(
        self, source: Source, options: TranscribeOptions, cancel: CancelToken | None = None
    ) -> Iterator[Event]:
        self.options.append(options)
        text = (source.read_bytes() if isinstance(source, Path) else source.read()).decode()
        if "bad" in text:
            raise UnsupportedMediaError("The file is no media that can be read.")
        if "crash" in text:
            raise RuntimeError("secret: /a/path")
        self.started.set()
        if "forever" in text:
            assert cancel is not None
            while not cancel.wait(0.01):
                yield Progress(1.0, None)
            self.cancelled.set()
            cancel.check()
        yield Progress(1.0, 2.0)
        segment = Segment(0, 0.0, 2.0, text, "en")
        yield SegmentReady(segment)
        yield Finished(Transcript((segment,), 2.0, "en", 1.0, Task.TRANSCRIBE, "tiny.en"))


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeTranscriber:
    """Every transcription of this test is done by this one."""
    transcriber = FakeTranscriber()

    @contextmanager
    def opened(settings: Settings) -> Generator[FakeTranscriber]:
        yield transcriber

    monkeypatch.setattr("scriba.cli.transcribing.open_transcriber", opened)
    return transcriber
