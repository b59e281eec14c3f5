"""A session heard once more at its end: whatever becomes of that, the session ends and its text is there."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from scriba.audio.live_pcm import PcmFormat
from scriba.domain.cancel import CancelToken
from scriba.domain.errors import InvalidOptionError, OverloadedError, UnsupportedMediaError
from scriba.domain.events import Event, Finished, Progress
from scriba.domain.options import TranscribeOptions
from scriba.domain.resume import ResumePoint
from scriba.domain.transcript import Segment, Suppressed, SuppressionReason, Transcript, Word
from scriba.engine.scheduler import Priority
from scriba.live.events import Refined
from scriba.live.options import LiveOptions
from scriba.live.service import LiveService
from scriba.live.session import LiveSession
from scriba.live.state import SessionState
from scriba.transcribe.port import Source
from tests.live.doubles import RATE, ByHeart, pcm, recording
from tests.live.test_sessions import drain, kept, send, serving

AGAIN = LiveOptions(refine=True, prompt="Dickens", beam_size=2, guards=False)


class Again:
    """Says ``Better.``; raises the ``errors`` first, one each time; ``hangs`` until it is cancelled."""

    def __init__(self, *errors: Exception, hangs: bool = False) -> None:
        self.errors = list(errors)
        self.hangs = hangs
        self.calls: list[tuple[Source, TranscribeOptions, Priority]] = []
        self.heard = b""

    def run(
        self,
        source: Source,
        options: TranscribeOptions,
        cancel: CancelToken | None = None,
        priority: Priority = Priority.INTERACTIVE,
        resume: ResumePoint | None = None,
    ) -> Iterator[Event]:
        self.calls.append((source, options, priority))
        assert cancel is not None
        while self.hangs:
            cancel.wait(0.01)
            cancel.check()
        if self.errors:
            raise self.errors.pop(0)
        self.heard = source.read_bytes() if isinstance(source, Path) else source.read()
        yield Progress(1.0, None)
        segment = Segment(0, 0.5, 1.0, "Better.", "en", (Word(0.5, 1.0, " Better.", 0.9),))
        withheld = Suppressed(2.0, 3.0, "Thanks.", SuppressionReason.KNOWN_PHRASE)
        yield Finished(Transcript((segment,), 21.0, "en", 0.8, options.task, "again", (withheld,)))


@pytest.fixture(scope="module")
def audio(two_cities: Path) -> NDArray[np.float32]:
    return np.concatenate((recording(two_cities, 5.0), np.zeros(RATE, np.float32)))


async def said(service: LiveService, audio: NDArray[np.float32]) -> LiveSession:
    """A session that was told to finish."""
    session = await service.open(AGAIN, PcmFormat())
    await send(session, pcm(audio))
    session.finish()
    return session


async def test_what_is_heard_again_is_the_transcript(tmp_path: Path, audio: NDArray[np.float32]) -> None:
    again = Again()
    async with serving(tmp_path, audio, transcriber=again) as service:
        session = await service.open(AGAIN, PcmFormat())
        outbox = session.attach()
        await send(session, pcm(audio))
        session.finish()
        events = kept(await drain(outbox))
        record = await service.record(session.id)

    [(_, options, priority)] = again.calls
    assert again.heard[44:] == pcm(audio)
    assert priority is Priority.BATCH
    assert (options.decoding.initial_prompt, options.decoding.beam_size) == ("Dickens", 2)
    assert options.words
    assert not options.guards
    assert isinstance(events[-2].event, Refined)
    assert events[-2].event.text == "Better."
    assert record.state is SessionState.FINISHED
    assert record.transcript.text == "Better."
    assert record.transcript.segments[0].words
    assert (record.transcript.language, record.transcript.language_probability) == ("en", 0.8)
    assert [own.text for own in record.transcript.suppressed] == ["Thanks."]
    assert record.transcript.duration == 6.0


async def test_a_container_is_heard_as_it_came(tmp_path: Path, audio: NDArray[np.float32]) -> None:
    again = Again()
    async with serving(tmp_path, audio, transcriber=again) as service:
        session = await service.open(AGAIN, None)
        outbox = session.attach()
        await session.audio(b"no container at all")
        session.finish()
        await drain(outbox)

    assert again.heard in {b"", b"no container at all"}


@pytest.mark.parametrize(
    "again",
    [Again(UnsupportedMediaError("The file is corrupt.")), Again(RuntimeError("a fault of ours"))],
    ids=["refused", "broken"],
)
async def test_where_it_cannot_be_had_what_was_settled_stands(
    tmp_path: Path, audio: NDArray[np.float32], again: Again
) -> None:
    async with serving(tmp_path, audio, transcriber=again) as service:
        session = await said(service, audio)
        await session.ended.wait()
        events = await service.events(session.id, 0, session.seq)
        record = await service.record(session.id)

    assert not [own for own in events if isinstance(own.event, Refined)]
    assert record.state is SessionState.FINISHED
    assert record.transcript.text == "".join(word.text for word in ByHeart(audio).words).strip()


async def test_a_full_machine_is_asked_again(
    tmp_path: Path, audio: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scriba.live.refining._RETRY_SECONDS", 0.01)
    again = Again(OverloadedError("Full.", retry_after=1.0), OverloadedError("Full.", retry_after=1.0))
    async with serving(tmp_path, audio, transcriber=again) as service:
        session = await said(service, audio)
        await session.ended.wait()
        record = await service.record(session.id)

    assert len(again.calls) == 3
    assert record.transcript.text == "Better."


async def test_a_server_that_ends_meanwhile_hears_it_again_later(
    tmp_path: Path, audio: NDArray[np.float32]
) -> None:
    hanging = Again(hangs=True)
    async with serving(tmp_path, audio, transcriber=hanging) as service:
        session = await said(service, audio)
        while not hanging.calls:
            await asyncio.sleep(0.01)
    assert session.state is SessionState.SUSPENDED
    async with serving(tmp_path, audio, transcriber=Again()) as service:
        async with asyncio.timeout(10):
            while (record := await service.record(session.id)).state is not SessionState.FINISHED:
                await asyncio.sleep(0.01)

    assert record.transcript.text == "Better."


async def test_one_that_is_deleted_meanwhile_is_gone_at_once(
    tmp_path: Path, audio: NDArray[np.float32]
) -> None:
    hanging = Again(hangs=True)
    async with serving(tmp_path, audio, transcriber=hanging) as service:
        # More than are heard again at once: the third waits.
        sessions = [await said(service, audio) for _ in range(3)]
        while len(hanging.calls) < 2:
            await asyncio.sleep(0.01)
        async with asyncio.timeout(10):
            for session in reversed(sessions):
                await service.delete(session.id)
        assert service.sessions == 0


async def test_a_server_that_cannot_says_so(tmp_path: Path, audio: NDArray[np.float32]) -> None:
    async with serving(tmp_path, audio, transcriber=None) as service:
        with pytest.raises(InvalidOptionError, match="hears no live session again"):
            await service.open(AGAIN, PcmFormat())
