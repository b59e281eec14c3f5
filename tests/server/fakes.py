"""A transcriber that recognises nothing, for what goes on around it; and a server to try it on."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import httpx
import uvicorn

from scriba.domain.cancel import CancelToken
from scriba.domain.errors import EmptyMediaError, ScribaError
from scriba.domain.events import Event, Finished, LanguageDetected, Progress, SegmentReady
from scriba.domain.options import TranscribeOptions
from scriba.domain.transcript import Segment, Transcript, Word
from scriba.doors.context import ModelCard
from scriba.models.catalogue import Catalogue
from scriba.server.app import create_app
from scriba.server.run import largest_message
from scriba.server.services import Services
from scriba.server.settings import Settings
from scriba.transcribe.port import Source

TEXTS = ("It was the best of times,", "", "it was the worst of times.")
SPOKEN = " ".join(text for text in TEXTS if text)
KEY = "correct-horse-battery"


def segments(words: bool, language: str = "en", texts: Sequence[str] = TEXTS) -> list[Segment]:
    """A segment of two seconds for each text."""
    made = []
    for index, text in enumerate(texts):
        start = index * 2.0
        parts = text.split()
        step = 2.0 / max(1, len(parts))
        times = tuple(
            Word(start + at * step, start + (at + 1) * step, " " + part, 0.9) for at, part in enumerate(parts)
        )
        made.append(
            Segment(index, start, start + 2.0, text, language, times if words else None, tokens=(50364, 1, 2))
        )
    return made


class FakeTranscriber:
    """Says ``texts`` whatever it hears.

    ``seconds`` is waited before each segment, unless it is cancelled; ``error`` is raised after
    ``error_after`` segments. What was asked is kept in ``calls``; ``running`` and ``most_running`` count.
    """

    def __init__(
        self,
        *,
        texts: Sequence[str] = TEXTS,
        seconds: float = 0.0,
        error: BaseException | None = None,
        error_after: int = 0,
        language: str = "en",
    ) -> None:
        self.texts = texts
        self.seconds = seconds
        self.error = error
        self.error_after = error_after
        self.language = language
        self.calls: list[TranscribeOptions] = []
        self.heard: list[bytes] = []
        self.running = 0
        self.most_running = 0
        self.cancelled = 0
        self.closed = 0
        self.threads: set[str] = set()
        self._lock = threading.Lock()

    def run(
        self, source: Source, options: TranscribeOptions, cancel: CancelToken | None = None
    ) -> Iterator[Event]:
        token = cancel or CancelToken()
        with self._lock:
            self.calls.append(options)
            self.running += 1
            self.most_running = max(self.most_running, self.running)
            self.threads.add(threading.current_thread().name)
        try:
            yield from self._events(source, options, token)
        except ScribaError:
            self.cancelled += token.cancelled
            raise
        finally:
            with self._lock:
                self.running -= 1
                self.closed += 1

    def _events(self, source: Source, options: TranscribeOptions, cancel: CancelToken) -> Iterator[Event]:
        data = source.read_bytes() if isinstance(source, Path) else source.read()
        self.heard.append(data)
        if data == b"silence of nothing":
            raise EmptyMediaError("The recording holds no audio.")
        yield LanguageDetected(self.language, 0.9)
        made = segments(options.words, self.language, self.texts)
        for index, segment in enumerate(made):
            if self.error is not None and index == self.error_after:
                raise self.error
            if self.seconds:
                cancel.wait(self.seconds)
            cancel.check()
            yield SegmentReady(segment)
            yield Progress(segment.end, None)
        duration = 2.0 * len(made)
        kept = tuple(segment for segment in made if segment.text)
        yield Finished(Transcript(kept, duration, self.language, 0.9, options.task, "fake"))


class FakeModels:
    """Two models and an alias."""

    names = ("base", "Systran/faster-whisper-tiny", "whisper-1")

    def models(self) -> list[ModelCard]:
        return [ModelCard(name, 1_700_000_000, "scriba") for name in self.names]

    def find(self, name: str) -> ModelCard | None:
        return next((card for card in self.models() if card.id == name), None)

    def check(self, name: str | None) -> None:
        Catalogue("base").resolve(name)


def settings(tmp_path: Path, **values: Any) -> Settings:
    return Settings(_env_file=None, data_dir=tmp_path / "data", **values)


def services(
    tmp_path: Path,
    transcriber: Any = None,
    *,
    warm: Callable[[CancelToken], str] | None = None,
    **values: Any,
) -> Services:
    return Services(
        settings=settings(tmp_path, **values),
        transcriber=transcriber or FakeTranscriber(),
        models=FakeModels(),
        warm=warm or (lambda _: "base"),
    )


@contextlib.asynccontextmanager
async def client(made: Services):  # type: ignore[no-untyped-def]
    """A client of the application without a network."""
    app = create_app(made)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://scriba") as http:
            yield http


class Serving:
    """A real server on a free port of this machine."""

    def __init__(self, made: Services) -> None:
        self.services = made
        self.app = create_app(made)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        config = uvicorn.Config(
            self.app, log_config=None, access_log=False, ws_max_size=largest_message(made.settings)
        )
        self.server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self._socket]})

    def __enter__(self) -> Self:
        self._thread.start()
        wait_for(lambda: self.server.started)
        return self

    def __exit__(self, *_: object) -> None:
        self.server.should_exit = True
        self._thread.join(20)
        self._socket.close()
        assert not self._thread.is_alive()


def wait_for(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Return as soon as the condition holds; fail when it does not in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def upload(data: bytes = b"RIFF sound", name: str = "speech.wav") -> dict[str, Any]:
    return {"file": (name, data, "audio/wav")}
