"""Real voices in live sessions on a real scheduler: who speaks, word by word, and in the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from scriba.audio.live_pcm import PcmFormat
from scriba.domain.cancel import CancelToken
from scriba.domain.errors import ModelUnavailableError
from scriba.domain.speakers import SpeakerOptions
from scriba.domain.transcript import Word
from scriba.engine.scheduler import Scheduler
from scriba.formats import Format, RenderOptions, render
from scriba.live.events import SegmentFinal, Settled, SpeakersFound
from scriba.live.numbered import Finished, Numbered
from scriba.live.options import LiveOptions
from scriba.live.service import LiveLimits, LiveService
from scriba.live.session import LiveSession
from scriba.speakers.networks import Networks, OnnxNetworks
from tests.live.doubles import RATE, ByHeart, Engines, pcm, to_s16
from tests.speakers.voices import dialogue

NAMES = {"a": "SPEAKER_00", "b": "SPEAKER_01"}
ASKED = LiveOptions(speakers=SpeakerOptions())


class Counted:
    """Implements ``NetworkProvider``; ``taken`` are those that were not given back."""

    def __init__(self, networks: Networks) -> None:
        self._networks = networks
        self.taken = 0
        self.acquired = 0

    @contextmanager
    def acquire(self, cancel: CancelToken) -> Iterator[Networks]:
        self.acquired += 1
        self.taken += 1
        try:
            yield self._networks
        finally:
            self.taken -= 1


class Nowhere:
    """Implements ``NetworkProvider`` where the model is not installed."""

    def acquire(self, cancel: CancelToken) -> AbstractContextManager[Networks]:
        raise ModelUnavailableError("It can be brought with: scriba models pull speakers", field="model")


@pytest.fixture(scope="module")
def spoken() -> tuple[NDArray[np.float32], list[tuple[float, float, str]]]:
    audio, turns = dialogue()
    quantised: NDArray[np.float32] = np.frombuffer(to_s16(audio), "<i2").astype(np.float32)
    return quantised / np.float32(32768), turns


@asynccontextmanager
async def serving(
    folder: Path, audio: NDArray[np.float32], voices: Counted | Nowhere | None
) -> AsyncIterator[tuple[LiveService, Engines]]:
    scheduler = Scheduler(2)
    engines = Engines(ByHeart(audio))
    service = LiveService(engines, scheduler, folder, LiveLimits(sync_seconds=0.0), voices=voices)
    await service.start()
    try:
        yield service, engines
    finally:
        await service.stop()
        await asyncio.to_thread(scheduler.close)
        assert engines.taken == 0


async def speak(session: LiveSession, data: bytes, start: int, end: int) -> None:
    """Send it second by second, each when the one before was looked at: as a microphone would."""
    assert session.speakers is not None
    for at in range(start, end, 2 * RATE):
        await session.audio(data[at : min(at + 2 * RATE, end)])
        async with asyncio.timeout(20):
            while session.speakers.examined < at / (2 * RATE):
                await asyncio.sleep(0.01)


def right(words: list[Word], turns: list[tuple[float, float, str]]) -> float:
    """Share of words under the right name, of those a second inside a turn."""
    found = [
        word.speaker == NAMES[who]
        for begin, end, who in turns
        for word in words
        if begin + 2.0 < word.start and word.end < end - 1.0
    ]
    assert len(found) > 20
    return sum(found) / len(found)


def words_in(events: list[Numbered]) -> list[Word]:
    return [word for own in events if isinstance(own.event, Settled) for word in own.event.words]


@pytest.mark.parametrize("restarted", [False, True])
async def test_two_people_have_two_names(
    tmp_path: Path,
    networks: OnnxNetworks,
    spoken: tuple[NDArray[np.float32], list[tuple[float, float, str]]],
    restarted: bool,
) -> None:
    audio, turns = spoken
    data = pcm(audio)
    half = len(data) // 4 * 2
    voices = Counted(networks)
    async with serving(tmp_path, audio, voices) as (service, _):
        session = await service.open(ASKED, PcmFormat())
        id_ = session.id
        await speak(session, data, 0, half if restarted else len(data))
        if not restarted:
            session.finish()
            await session.ended.wait()
        else:
            so_far = (await service.record(id_)).transcript
            assert set(NAMES.values()) <= {segment.speaker for segment in so_far.segments}
    assert voices.taken == 0
    async with serving(tmp_path, audio, voices) as (service, _):
        if restarted:
            session = await service.resume(id_)
            await session.audio(data[half:])
            session.finish()
            await session.ended.wait()
        events = await service.events(id_, 0, 10_000)
        record = await service.record(id_)

    told = words_in(events)
    assert "".join(word.text for word in told).strip() == record.transcript.text
    assert set(NAMES.values()) <= {word.speaker for word in told}
    if not restarted:  # what was sent at once after the restart is ahead of what is known
        assert right(told, turns) > 0.6
    assert any(isinstance(own.event, SegmentFinal) and own.event.segment.speaker for own in events)
    assert [type(own.event) for own in events[-2:]] == [SpeakersFound, Finished]

    segments = record.transcript.segments
    assert {segment.speaker for segment in segments} == set(NAMES.values())
    final = [word for segment in segments for word in segment.words or ()]
    assert all(word.speaker == segment.speaker for segment in segments for word in segment.words or ())
    assert right(final, turns) > 0.8
    assert [segment.id for segment in segments] == list(range(len(segments)))
    found = events[-2].event
    assert isinstance(found, SpeakersFound)
    assert record.transcript.turns == found.turns
    for fmt in (Format.SRT, Format.VTT, Format.TXT, Format.RTTM, Format.VERBOSE_JSON):
        text = render(record.transcript, fmt, options=RenderOptions(segments=True, words=True))
        assert all(name in text for name in NAMES.values()), fmt


async def test_who_does_not_ask_loads_nothing(
    tmp_path: Path,
    networks: OnnxNetworks,
    spoken: tuple[NDArray[np.float32], list[tuple[float, float, str]]],
) -> None:
    audio = spoken[0][: 8 * RATE]
    voices = Counted(networks)
    async with serving(tmp_path, audio, voices) as (service, _):
        session = await service.open(LiveOptions(), PcmFormat())
        await session.audio(pcm(audio))
        session.finish()
        await session.ended.wait()
        events = await service.events(session.id, 0, 10_000)
        record = await service.record(session.id)
    assert voices.acquired == 0
    assert not any(isinstance(own.event, SpeakersFound) for own in events)
    assert {word.speaker for word in words_in(events)} == {None}
    assert {segment.speaker for segment in record.transcript.segments} == {None}


async def test_without_the_model_the_session_is_refused(tmp_path: Path) -> None:
    async with serving(tmp_path, np.zeros(RATE, np.float32), Nowhere()) as (service, engines):
        with pytest.raises(ModelUnavailableError, match="scriba models pull speakers"):
            await service.open(ASKED, PcmFormat())
        assert engines.taken == 0
        assert service.sessions == 0


class Broken:
    """Implements ``Networks`` and fails."""

    def segment(self, audio: NDArray[np.float32]) -> NDArray[np.bool_]:
        raise RuntimeError("out of order")

    def embed(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        raise RuntimeError("out of order")


async def test_words_are_worth_having_without_speakers(
    tmp_path: Path, spoken: tuple[NDArray[np.float32], list[tuple[float, float, str]]]
) -> None:
    audio = spoken[0][: 8 * RATE]
    voices = Counted(Broken())
    async with serving(tmp_path, audio, voices) as (service, _):
        session = await service.open(ASKED, PcmFormat())
        await session.audio(pcm(audio))
        session.finish()
        await session.ended.wait()
        events = await service.events(session.id, 0, 10_000)
        record = await service.record(session.id)
    assert voices.taken == 0
    assert isinstance(events[-1].event, Finished)
    assert not any(isinstance(own.event, SpeakersFound) for own in events)
    whole = [word.text.strip() for word in ByHeart(audio).words if word.end < 7.5]
    assert record.transcript.text.split()[: len(whole)] == whole


async def test_a_session_can_be_deleted_while_it_is_examined(
    tmp_path: Path,
    networks: OnnxNetworks,
    spoken: tuple[NDArray[np.float32], list[tuple[float, float, str]]],
) -> None:
    voices = Counted(networks)
    async with serving(tmp_path, spoken[0], voices) as (service, _):
        session = await service.open(ASKED, PcmFormat())
        await session.audio(pcm(spoken[0]))
        await asyncio.sleep(0.3)
        async with asyncio.timeout(10):
            await service.delete(session.id)
            while voices.taken:
                await asyncio.sleep(0.01)
        assert not (tmp_path / session.id).exists()
