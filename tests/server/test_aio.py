"""The bridge from a blocking transcription to the event loop."""

from __future__ import annotations

import asyncio
import io
import threading
import time
from collections.abc import Iterator

import pytest

from scriba.domain.cancel import CancelToken
from scriba.domain.errors import EngineError, UnsupportedMediaError
from scriba.domain.events import Event, Finished, Progress
from scriba.domain.options import TranscribeOptions
from scriba.transcribe.aio import QUEUE_EVENTS, open_events, transcribe
from scriba.transcribe.port import Source
from tests.server.fakes import SPOKEN, FakeTranscriber, wait_for

OPTIONS = TranscribeOptions()


def sound() -> io.BytesIO:
    return io.BytesIO(b"sound")


class Endless:
    """Progress for ever, as fast as it is taken."""

    def __init__(self) -> None:
        self.made = 0
        self.ended = threading.Event()

    def run(
        self, source: Source, options: TranscribeOptions, cancel: CancelToken | None = None
    ) -> Iterator[Event]:
        try:
            while True:
                self.made += 1
                yield Progress(float(self.made), None)
        finally:
            self.ended.set()


async def test_events_come_in_order_from_a_thread_of_their_own() -> None:
    fake = FakeTranscriber()
    async with open_events(fake, sound(), OPTIONS) as events:
        kinds = [type(event).__name__ async for event in events]
    assert kinds[0] == "LanguageDetected"
    assert kinds[-1] == "Finished"
    assert fake.threads == {"scriba-transcribe"}
    assert (await transcribe(fake, sound(), OPTIONS)).text == SPOKEN


async def test_errors_pass_through() -> None:
    error = UnsupportedMediaError("No.")
    with pytest.raises(UnsupportedMediaError) as caught:
        await transcribe(FakeTranscriber(error=error), sound(), OPTIONS)
    assert caught.value is error


async def test_an_end_without_a_result_is_an_error() -> None:
    class Mute:
        def run(
            self, source: Source, options: TranscribeOptions, cancel: CancelToken | None = None
        ) -> Iterator[Event]:
            yield Progress(1.0, None)

    with pytest.raises(EngineError):
        await transcribe(Mute(), sound(), OPTIONS)


async def test_a_reader_that_stops_reading_stops_the_work() -> None:
    work = Endless()
    async with open_events(work, sound(), OPTIONS) as events:
        await anext(events)
        # Nobody reads on: the thread makes what the queue holds, and waits.
        await asyncio.sleep(0.3)
        made = work.made
        assert made <= QUEUE_EVENTS + 3
        await asyncio.sleep(0.2)
        assert work.made == made
    assert work.ended.is_set()


async def test_a_cancelled_reader_waits_for_the_thread_to_let_go() -> None:
    fake = FakeTranscriber(seconds=30)
    task = asyncio.create_task(transcribe(fake, sound(), OPTIONS))
    await asyncio.to_thread(wait_for, lambda: fake.running == 1)
    begun = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - begun < 1
    assert (fake.running, fake.closed, fake.cancelled) == (0, 1, 1)


async def test_a_token_from_outside_stops_it() -> None:
    token = CancelToken()
    fake = FakeTranscriber(seconds=30)
    task = asyncio.create_task(transcribe(fake, sound(), OPTIONS, token))
    await asyncio.to_thread(wait_for, lambda: fake.running == 1)
    token.cancel()
    with pytest.raises(Exception, match="cancelled"):
        await task


async def test_the_loop_goes_on_while_the_thread_is_busy() -> None:
    class Busy:
        def run(
            self, source: Source, options: TranscribeOptions, cancel: CancelToken | None = None
        ) -> Iterator[Event]:
            time.sleep(0.5)
            yield from FakeTranscriber().run(source, options, cancel)

    task = asyncio.create_task(transcribe(Busy(), sound(), OPTIONS))
    ticks = 0
    while not task.done():
        await asyncio.sleep(0.01)
        ticks += 1
    assert ticks > 10
    assert isinstance(task.result().text, str)


async def test_events_after_the_result_are_not_waited_for() -> None:
    class Lingering:
        def __init__(self) -> None:
            self.cancelled = False

        def run(
            self, source: Source, options: TranscribeOptions, cancel: CancelToken | None = None
        ) -> Iterator[Event]:
            assert cancel is not None
            yield from (
                event for event in FakeTranscriber().run(source, options) if isinstance(event, Finished)
            )
            self.cancelled = cancel.wait(10)

    work = Lingering()
    await transcribe(work, sound(), OPTIONS)
    assert work.cancelled
