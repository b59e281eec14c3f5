"""OpenAI's Realtime transcription sessions, as the vendor's own SDK speaks them."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import openai
import pytest
from numpy.typing import NDArray

from tests.doors_live.conftest import Serve
from tests.server.fakes import KEY, Serving

DELTA = "conversation.item.input_audio_transcription.delta"
COMPLETED = "conversation.item.input_audio_transcription.completed"


@asynccontextmanager
async def session(server: Serving, **values: Any) -> AsyncIterator[Any]:
    client = openai.AsyncOpenAI(base_url=server.url + "/v1", api_key=KEY)
    async with client.realtime.connect(extra_query={"intent": "transcription"}, **values) as connection:
        created = await connection.recv()
        assert created.type == "session.created"
        assert created.session.type == "transcription"
        yield connection
    await client.close()


def at_24_khz(audio: NDArray[np.float32]) -> bytes:
    places = np.arange(0, len(audio) - 1, 16_000 / 24_000)
    samples = np.interp(places, np.arange(len(audio)), audio)
    data: bytes = (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()
    return data


async def configure(connection: Any, **input_: Any) -> Any:
    await connection.session.update(session={"type": "transcription", "audio": {"input": input_}})
    return await connection.recv()


async def append(connection: Any, data: bytes) -> None:
    for start in range(0, len(data), 9600):
        await connection.input_audio_buffer.append(
            audio=base64.b64encode(data[start : start + 9600]).decode()
        )


async def until(connection: Any, kind: str, count: int = 1) -> list[Any]:
    events: list[Any] = []
    while sum(event.type == kind for event in events) < count:
        events.append(await connection.recv())
    return events


async def test_turns_are_found_and_transcribed(serve_sound: Serve, audio: NDArray[np.float32]) -> None:
    async with session(serve_sound()) as connection:
        updated = await configure(
            connection,
            format={"type": "audio/pcm", "rate": 24000},
            transcription={"model": "gpt-4o-transcribe", "language": "en", "delay": "low"},
            turn_detection={"type": "server_vad", "silence_duration_ms": 500},
        )
        assert updated.type == "session.updated"
        assert updated.session.audio.input.turn_detection.silence_duration_ms == 500
        await append(connection, at_24_khz(audio))
        events = await until(connection, COMPLETED, 2)

    kinds = [event.type for event in events]
    order = [
        "input_audio_buffer.speech_started",
        DELTA,
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        COMPLETED,
    ]
    places = [kinds.index(kind) for kind in order]
    assert places == sorted(places)
    first = next(event for event in events if event.type == COMPLETED)
    deltas = [event.delta for event in events if event.type == DELTA and event.item_id == first.item_id]
    assert "".join(deltas) == first.transcript
    assert first.transcript
    assert first.usage.type == "duration"
    assert first.languages[0].code == "en"
    assert all(event.content_index == 0 for event in events if event.type == DELTA)


async def test_the_client_commits(serve_sound: Serve, audio: NDArray[np.float32]) -> None:
    async with session(serve_sound()) as connection:
        await configure(connection, transcription={"language": "en"}, turn_detection=None)
        data = at_24_khz(audio)
        transcripts = []
        items = []
        for part in (data[: 24_000 * 2 * 4], data[24_000 * 2 * 4 : 24_000 * 2 * 9]):
            await append(connection, part)
            await connection.input_audio_buffer.commit()
            events = await until(connection, "conversation.item.done")
            committed = next(event for event in events if event.type == "input_audio_buffer.committed")
            completed = next(event for event in events if event.type == COMPLETED)
            assert completed.item_id == committed.item_id
            assert not any(event.type.endswith("speech_started") for event in events)
            transcripts.append(completed.transcript)
            items.append((committed.previous_item_id, committed.item_id))

    assert all(transcripts)
    assert items[1][0] == items[0][1]


async def test_cleared_audio_is_not_transcribed(serve_sound: Serve, audio: NDArray[np.float32]) -> None:
    async with session(serve_sound()) as connection:
        await configure(connection, transcription={"language": "en"}, turn_detection=None)
        data = at_24_khz(audio)
        await append(connection, data[: 24_000 * 2 * 2])
        await connection.input_audio_buffer.clear()
        events = await until(connection, "input_audio_buffer.cleared")
        shown = "".join(event.delta for event in events if event.type == DELTA)
        await append(connection, data[24_000 * 2 * 2 : 24_000 * 2 * 6])
        await connection.input_audio_buffer.commit()
        events = await until(connection, COMPLETED)

    transcript = events[-1].transcript
    assert transcript
    assert not shown or not transcript.startswith(shown)


@pytest.mark.parametrize(("form", "rate"), [("audio/pcmu", 8000), ("audio/pcma", 8000)])
async def test_telephone_audio(serve_sound: Serve, audio: NDArray[np.float32], form: str, rate: int) -> None:
    async with session(serve_sound()) as connection:
        await configure(
            connection, format={"type": form}, transcription={"language": "en"}, turn_detection=None
        )
        await append(connection, bytes([0xD5 if form == "audio/pcma" else 0xFF]) * rate)
        await connection.input_audio_buffer.commit()
        events = await until(connection, COMPLETED)

    assert events[-1].transcript == ""


async def test_logprobs_are_told_when_asked_for(serve_sound: Serve, audio: NDArray[np.float32]) -> None:
    async with session(serve_sound()) as connection:
        await connection.session.update(
            session={
                "type": "transcription",
                "include": ["item.input_audio_transcription.logprobs"],
                "audio": {"input": {"turn_detection": None}},
            }
        )
        assert (await connection.recv()).type == "session.updated"
        await append(connection, at_24_khz(audio)[: 24_000 * 2 * 4])
        await connection.input_audio_buffer.commit()
        events = await until(connection, COMPLETED)

    delta = next(event for event in events if event.type == DELTA)
    assert "".join(own.token for own in delta.logprobs).strip() == delta.delta.strip()
    assert all(own.logprob <= 0 for own in delta.logprobs)


async def test_long_silence_is_told_and_committed(serve_sound: Serve) -> None:
    detection = {"type": "server_vad", "idle_timeout_ms": 5000}
    async with session(serve_sound()) as connection:
        updated = await configure(connection, turn_detection=detection)
        assert updated.session.audio.input.turn_detection.idle_timeout_ms == 5000
        await append(connection, bytes(24_000 * 2 * 12))
        events = await until(connection, "conversation.item.added", 2)

    timeouts = [event for event in events if event.type == "input_audio_buffer.timeout_triggered"]
    committed = [event for event in events if event.type == "input_audio_buffer.committed"]
    assert [(own.audio_start_ms, own.audio_end_ms) for own in timeouts] == [(0, 5000), (5000, 10_000)]
    assert [own.item_id for own in timeouts] == [own.item_id for own in committed]


@pytest.mark.parametrize(
    ("session_", "param"),
    [
        ({"type": "realtime"}, "session.type"),
        (
            {"type": "transcription", "audio": {"input": {"transcription": {"language": "klingon"}}}},
            "language",
        ),
        (
            {"type": "transcription", "audio": {"input": {"noise_reduction": {"type": "near_field"}}}},
            "session.audio.input.noise_reduction",
        ),
        (
            {"type": "transcription", "audio": {"input": {"turn_detection": {"type": "semantic_vad"}}}},
            "session.audio.input.turn_detection.type",
        ),
        (
            {
                "type": "transcription",
                "audio": {"input": {"turn_detection": {"type": "server_vad", "idle_timeout_ms": 10}}},
            },
            "session.audio.input.turn_detection.idle_timeout_ms",
        ),
        (
            {"type": "transcription", "audio": {"input": {"format": {"type": "audio/pcm", "rate": 16000}}}},
            "session.audio.input.format.rate",
        ),
    ],
)
async def test_what_cannot_be_done_is_told(serve_sound: Serve, session_: Any, param: str) -> None:
    async with session(serve_sound()) as connection:
        await connection.session.update(session=session_, event_id="mine")
        error = await connection.recv()

    assert error.type == "error"
    assert error.error.param == param
    assert error.error.event_id == "mine"


async def test_bad_messages_leave_the_connection_alive(
    serve_sound: Serve, audio: NDArray[np.float32]
) -> None:
    async with session(serve_sound()) as connection:
        await configure(connection, turn_detection=None)
        await connection.input_audio_buffer.commit()
        assert "too small" in (await connection.recv()).error.message
        await connection.input_audio_buffer.append(audio="not base64!")
        assert (await connection.recv()).error.message == "audio must be base64."
        await connection.input_audio_buffer.append(audio=base64.b64encode(b"odd").decode())
        assert "whole samples" in (await connection.recv()).error.message
        await connection.send({"type": "response.create"})
        assert (await connection.recv()).error.param == "type"
        await append(connection, at_24_khz(audio)[:96_000])
        await connection.input_audio_buffer.commit()
        assert (await until(connection, COMPLETED))[-1].transcript is not None


async def test_a_key_is_wanted_where_there_are_keys(serve_sound: Serve) -> None:
    server = serve_sound(api_keys=[KEY])
    async with session(server):
        pass
    client = openai.AsyncOpenAI(base_url=server.url + "/v1", api_key="wrong-wrong")
    with pytest.raises(Exception, match="401"):
        async with client.realtime.connect(model="whisper-1"):
            pass
    await client.close()
