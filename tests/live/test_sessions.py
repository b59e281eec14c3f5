"""Sessions on a real scheduler and a real disk: broken off, resumed, restarted, expired."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from scriba.audio.live_pcm import PcmFormat
from scriba.domain.errors import (
    InvalidOptionError,
    MediaTooLargeError,
    OverloadedError,
    SessionNotFoundError,
)
from scriba.engine.port import Engine
from scriba.engine.scheduler import Scheduler
from scriba.live.events import Partial
from scriba.live.numbered import Acknowledged, Numbered
from scriba.live.options import LiveOptions
from scriba.live.outbox import Outbox
from scriba.live.service import LiveLimits, LiveService
from scriba.live.session import LiveSession
from scriba.live.state import SessionState
from scriba.transcribe.port import PriorityTranscriber
from tests.live.doubles import RATE, ByHeart, Engines, pcm, recording

LIMITS = LiveLimits(sync_seconds=0.0)


@pytest.fixture(scope="module")
def audio(two_cities: Path) -> NDArray[np.float32]:
    return np.concatenate((recording(two_cities, 20.0), np.zeros(RATE, np.float32)))


@asynccontextmanager
async def serving(
    folder: Path,
    audio: NDArray[np.float32],
    limits: LiveLimits = LIMITS,
    cost: float = 0.0,
    transcriber: PriorityTranscriber | None = None,
    try_out: Callable[[Engine, Scheduler], float] | None = None,
) -> AsyncIterator[LiveService]:
    scheduler = Scheduler(2)
    engines = Engines(ByHeart(audio, cost=cost))
    service = LiveService(engines, scheduler, folder, limits, transcriber=transcriber, try_out=try_out)
    await service.start()
    try:
        yield service
    finally:
        await service.stop()
        await asyncio.to_thread(scheduler.close)
        assert engines.taken == 0


async def drain(outbox: Outbox) -> list[Numbered]:
    """Everything until the session has ended."""
    found: list[Numbered] = []
    while (items := await outbox.get()) is not None:
        found += items
    return found


async def acknowledged(outbox: Outbox, received: int) -> None:
    """Return when so many bytes are safe."""
    async with asyncio.timeout(10):
        while items := await outbox.get():
            for own in items:
                if isinstance(own.event, Acknowledged) and own.event.received >= received:
                    return


def kept(events: list[Numbered]) -> list[Numbered]:
    return [own for own in events if own.kept]


async def send(session: LiveSession, data: bytes, piece: int = 3200) -> None:
    for start in range(0, len(data), piece):
        await session.audio(data[start : start + piece])


async def unbroken(folder: Path, audio: NDArray[np.float32]) -> tuple[str, list[Numbered]]:
    async with serving(folder, audio) as service:
        session = await service.open(LiveOptions(), PcmFormat())
        outbox = session.attach()
        await send(session, pcm(audio))
        session.finish()
        events = await drain(outbox)
        return (await service.record(session.id)).transcript.text, events


async def test_a_session_from_its_first_byte_to_its_transcript(
    tmp_path: Path, audio: NDArray[np.float32]
) -> None:
    text, events = await unbroken(tmp_path, audio)

    assert text == "".join(word.text for word in ByHeart(audio).words).strip()
    assert [own.seq for own in kept(events)] == list(range(1, len(kept(events)) + 1))
    acknowledged = [own.event for own in events if isinstance(own.event, Acknowledged)]
    assert all(own.received <= len(pcm(audio)) for own in acknowledged)


async def test_ten_breaks_at_random_moments_change_nothing(
    tmp_path: Path, audio: NDArray[np.float32]
) -> None:
    text, usual = await unbroken(tmp_path / "usual", audio)
    chance = random.Random(7)
    data = pcm(audio)
    breaks = sorted(chance.randrange(1, len(data)) for _ in range(10))
    async with serving(tmp_path / "broken", audio) as service:
        session = await service.open(LiveOptions(), PcmFormat())
        seen: list[Numbered] = []
        for end in [*breaks, len(data)]:
            session = await service.resume(session.id)
            outbox = session.attach()
            last = seen[-1].seq if seen else 0
            seen += await service.events(session.id, last, session.seq)
            await send(session, data[session.received : end], chance.randrange(100, 9000))
            await asyncio.sleep(chance.random() * 0.05)
            # What was in the outbox and not read is lost with the connection.
            session.detach(outbox)
        outbox = session.attach()
        seen += await service.events(session.id, seen[-1].seq, session.seq)
        session.finish()
        seen += kept(await drain(outbox))
        record = await service.record(session.id)

    assert record.transcript.text == text
    assert [own.event for own in seen] == [own.event for own in kept(usual)]


@pytest.mark.parametrize("sequenced", [False, True])
async def test_a_server_that_ends_in_between_changes_nothing(
    tmp_path: Path, audio: NDArray[np.float32], sequenced: bool
) -> None:
    text, usual = await unbroken(tmp_path / "usual", audio)
    data = pcm(audio)
    folder = tmp_path / "broken"
    id_ = ""
    for round_ in range(5):
        async with serving(folder, audio, cost=0.002) as service:
            if not id_:
                session = await service.open(LiveOptions(), PcmFormat(), sequenced=sequenced)
                id_ = session.id
            else:
                session = await service.resume(id_)
            end = len(data) * (round_ + 1) // 5
            number = session.frame
            while session.received < end:
                number = None if number is None else number + 1
                await session.audio(data[session.received : min(end, session.received + 3200)], number)
            await asyncio.sleep(0.05)
            if round_ == 4:
                session.finish()
                await session.ended.wait()
    async with serving(folder, audio) as service:
        record = await service.record(id_)
        events = await service.events(id_, 0, 10_000)

    assert record.state is SessionState.FINISHED
    assert record.transcript.text == text
    assert [own.event for own in events] == [own.event for own in kept(usual)]


@pytest.mark.parametrize("rate", [16_000, 24_000, 48_000])
async def test_a_restart_decodes_only_what_is_still_needed(
    tmp_path: Path, audio: NDArray[np.float32], rate: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After ten minutes of silence: the same samples as before, without going through them again."""
    from scriba.audio.live_pcm import LivePcm

    form = PcmFormat(sample_rate=rate)
    places = np.arange(0, len(audio) - 1, 16_000 / rate)
    speech = (np.interp(places, np.arange(len(audio)), audio) * 32767).astype("<i2").tobytes()
    async with serving(tmp_path, audio) as service:
        session = await service.open(LiveOptions(), form)
        outbox = session.attach()
        await send(session, bytes(rate * 2 * 60), 500_000)
        await send(session, speech[: rate * 2])
        await acknowledged(outbox, rate * 2 * 61)
        ring = session._stream.listener.window.audio
        usual = ring.slice(61 * RATE - RATE // 2, 61 * RATE - RATE // 4)
    decoded = 0
    push = LivePcm.push

    def counted(self: LivePcm, data: bytes) -> NDArray[np.float32]:
        nonlocal decoded
        decoded += len(data)
        return push(self, data)

    monkeypatch.setattr(LivePcm, "push", counted)
    async with serving(tmp_path, audio) as service:
        session = await service.resume(session.id)
        listener = session._stream.listener
        assert abs(listener.received - 61 * RATE) < 100
        again = listener.window.audio.slice(61 * RATE - RATE // 2, 61 * RATE - RATE // 4)

    assert np.array_equal(again, usual)
    assert decoded < rate * 2 * 15


async def test_a_session_without_its_client_is_finished_after_a_while(
    tmp_path: Path, audio: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scriba.live.service._SWEEP_SECONDS", 0.05)
    async with serving(tmp_path, audio, replace(LIMITS, resume_seconds=0.1)) as service:
        session = await service.open(LiveOptions(), PcmFormat())
        outbox = session.attach()
        await send(session, pcm(audio[: 5 * RATE]))
        session.detach(outbox)
        await asyncio.wait_for(session.ended.wait(), 10)
        record = await service.record(session.id)
        with pytest.raises(SessionNotFoundError, match="ended"):
            await service.resume(session.id)

    assert record.state is SessionState.FINISHED
    assert record.transcript.text.startswith("word0 word1")


async def test_what_an_earlier_process_left_is_finished_without_its_client(
    tmp_path: Path, audio: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scriba.live.service._SWEEP_SECONDS", 0.05)
    async with serving(tmp_path, audio) as service:
        session = await service.open(LiveOptions(), PcmFormat())
        outbox = session.attach()
        await send(session, pcm(audio))
        await acknowledged(outbox, len(pcm(audio)))
        id_ = session.id
    last = ByHeart(audio).words[-1].text
    async with serving(tmp_path, audio, replace(LIMITS, resume_seconds=0.05)) as service:
        async with asyncio.timeout(10):
            while (await service.record(id_)).state is not SessionState.FINISHED:
                await asyncio.sleep(0.02)
        assert (await service.record(id_)).transcript.text.endswith(last)


async def test_one_session_too_many_is_refused(tmp_path: Path, audio: NDArray[np.float32]) -> None:
    async with serving(tmp_path, audio, replace(LIMITS, max_sessions=1)) as service:
        await service.open(LiveOptions(), PcmFormat())
        with pytest.raises(OverloadedError, match="has 1 live sessions and takes no more than 1"):
            await service.open(LiveOptions(), PcmFormat())


async def test_a_full_machine_refuses_before_the_old_ones_suffer(
    tmp_path: Path, audio: NDArray[np.float32]
) -> None:
    async with serving(tmp_path, audio, cost=0.9) as service:
        session = await service.open(LiveOptions(), PcmFormat())
        await send(session, pcm(audio[: 6 * RATE]))
        async with asyncio.timeout(30):
            while not service.full:
                await asyncio.sleep(0.05)
        with pytest.raises(OverloadedError, match="The machine is full"):
            await service.open(LiveOptions(), PcmFormat())


async def test_many_who_come_at_once_to_a_fresh_server_are_not_all_taken(
    tmp_path: Path, audio: NDArray[np.float32]
) -> None:
    tried: list[str] = []

    def try_out(engine: Engine, _: Scheduler) -> float:
        tried.append(engine.model)
        return 0.5

    async with serving(tmp_path, audio, try_out=try_out) as service:
        await asyncio.to_thread(service.learn_cost)
        opening = [service.open(LiveOptions(), PcmFormat()) for _ in range(16)]
        opened = await asyncio.gather(*opening, return_exceptions=True)

    refused = [own for own in opened if isinstance(own, BaseException)]
    assert tried == ["fake"]
    assert len(opened) - len(refused) == 5
    assert all(isinstance(own, OverloadedError) and own.retry_after for own in refused)
    assert "each would be heard every 1.5 s only" in str(refused[0])


async def test_sessions_of_before_are_taken_up_however_full_the_machine_is(
    tmp_path: Path, audio: NDArray[np.float32]
) -> None:
    async with serving(tmp_path, audio) as service:
        before = [(await service.open(LiveOptions(), PcmFormat())).id for _ in range(6)]
    async with serving(tmp_path, audio, try_out=lambda *_: 0.5) as service:
        service.learn_cost()
        for _ in range(6):
            with suppress(OverloadedError):  # nor because of those who come now
                await service.open(LiveOptions(), PcmFormat())
        async with asyncio.timeout(10):
            while {(await service.record(id_)).state for id_ in before} != {SessionState.DETACHED}:
                await asyncio.sleep(0.05)


async def check_all_are_heard(
    folder: Path, audio: NDArray[np.float32], engine: ByHeart, workers: int, count: int, deleted: int = 0
) -> None:
    """So many streams of 8 s at once; the last ones are deleted in the midst of it."""
    sound = audio[: 8 * RATE]
    scheduler = Scheduler(workers)
    service = LiveService(Engines(engine), scheduler, folder, LIMITS)
    await service.start()
    try:
        sessions = [await service.open(LiveOptions(), PcmFormat()) for _ in range(count)]
        for session in sessions:
            await send(session, pcm(sound))
        for _ in range(deleted):
            await service.delete(sessions.pop().id)
        for session in sessions:
            session.finish()
        for session in sessions:
            await session.ended.wait()
        texts = {(await service.record(session.id)).transcript.text for session in sessions}
    finally:
        await service.stop()
        await asyncio.to_thread(scheduler.close)
    assert texts == {"".join(word.text for word in ByHeart(sound).words).strip()}


async def test_more_streams_than_may_be_under_way_are_all_heard(
    tmp_path: Path, audio: NDArray[np.float32]
) -> None:
    engine = ByHeart(audio, cost=0.02, unsure=0.0)
    await check_all_are_heard(tmp_path, audio, engine, workers=1, count=7, deleted=1)
    assert max(engine.batches) <= 4


async def test_streams_of_a_full_machine_are_decoded_together(
    tmp_path: Path, audio: NDArray[np.float32]
) -> None:
    engine = ByHeart(audio, cost=0.01, unsure=0.0)
    await check_all_are_heard(tmp_path, audio, engine, workers=2, count=8)
    assert max(engine.batches) >= 3


async def test_a_machine_that_was_full_takes_the_first_who_comes(
    tmp_path: Path, audio: NDArray[np.float32]
) -> None:
    async with serving(tmp_path, audio, cost=0.9) as service:
        session = await service.open(LiveOptions(), PcmFormat())
        await send(session, pcm(audio[: 6 * RATE]))
        async with asyncio.timeout(30):
            while not service.full:
                await asyncio.sleep(0.05)
        await service.delete(session.id)
        # Nobody suffers where there is nobody: this is not refused.
        await service.open(LiveOptions(), PcmFormat())


async def test_more_audio_than_a_session_may_have(tmp_path: Path, audio: NDArray[np.float32]) -> None:
    async with serving(tmp_path, audio, replace(LIMITS, max_seconds=1.0)) as service:
        session = await service.open(LiveOptions(), PcmFormat())
        await session.audio(bytes(32_000))
        with pytest.raises(MediaTooLargeError, match="32000 bytes"):
            await session.audio(bytes(2))


async def test_no_audio_after_the_end(tmp_path: Path, audio: NDArray[np.float32]) -> None:
    async with serving(tmp_path, audio) as service:
        session = await service.open(LiveOptions(), PcmFormat())
        session.finish()
        with pytest.raises(InvalidOptionError, match="takes no more audio"):
            await session.audio(bytes(2))
        await session.ended.wait()
        record = await service.record(session.id)

    assert record.transcript.segments == ()


async def test_a_deleted_session_leaves_nothing(tmp_path: Path, audio: NDArray[np.float32]) -> None:
    async with serving(tmp_path, audio) as service:
        session = await service.open(LiveOptions(), PcmFormat())
        await send(session, pcm(audio[: 3 * RATE]))
        await service.delete(session.id)
        assert os.listdir(tmp_path) == []
        for id_ in (session.id, "live_" + "0" * 32, "../../etc", ""):
            with pytest.raises(SessionNotFoundError):
                await service.record(id_)


async def test_expired_sessions_are_forgotten(
    tmp_path: Path, audio: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scriba.live.service._SWEEP_SECONDS", 0.05)
    async with serving(tmp_path, audio, replace(LIMITS, keep_seconds=0.0)) as service:
        session = await service.open(LiveOptions(), PcmFormat())
        session.finish()
        await session.ended.wait()
        async with asyncio.timeout(10):
            while os.listdir(tmp_path):
                await asyncio.sleep(0.02)


async def test_a_slow_reader_misses_partials_and_nothing_else() -> None:
    from scriba.live.events import SpeechStarted

    outbox = Outbox(most=3)
    for number in range(1, 4):
        outbox.put(Numbered(number, SpeechStarted(float(number)), kept=True))
        for at in range(50):
            outbox.put(Numbered(number, Partial(at, at, str(at)), kept=False))
    items = await outbox.get()
    assert items is not None
    assert [own.seq for own in items if own.kept] == [1, 2, 3]
    assert [own.event for own in items if not own.kept] == [Partial(49, 49, "49")]

    for number in range(4, 9):
        outbox.put(Numbered(number, SpeechStarted(0.0), kept=True))
    assert outbox.closed == "too slow"


async def test_another_connection_takes_a_session_over(tmp_path: Path, audio: NDArray[np.float32]) -> None:
    async with serving(tmp_path, audio) as service:
        session = await service.open(LiveOptions(), PcmFormat())
        first = session.attach()
        second = session.attach()
        assert first.closed == "replaced"
        session.detach(first)
        states = [session.state]
        session.detach(second)
        states.append(session.state)
        assert states == [SessionState.OPEN, SessionState.DETACHED]
