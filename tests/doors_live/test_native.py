"""The live protocol over real sockets."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from scriba.live.service import LiveLimits
from scriba.speakers.networks import OnnxNetworks
from tests.conftest import SpeakerFolder
from tests.doors_live.conftest import Serve
from tests.live.doubles import pcm
from tests.server.fakes import KEY, Serving
from tests.speakers.voices import Own


@contextmanager
def open_socket(server: Serving, **values: Any) -> Iterator[ClientConnection]:
    with connect(server.url.replace("http", "ws") + "/v1/live", **values) as socket:
        assert receive(socket)["type"] == "hello"
        yield socket


def receive(socket: ClientConnection) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(socket.recv(timeout=10))
    return body


def start(socket: ClientConnection, **values: Any) -> dict[str, Any]:
    socket.send(json.dumps({"type": "start", **values}))
    return receive(socket)


def until_end(socket: ClientConnection) -> list[dict[str, Any]]:
    events = []
    try:
        while True:
            events.append(receive(socket))
    except ConnectionClosed:
        return events


def settled(events: list[dict[str, Any]]) -> str:
    return "".join(event["text"] for event in events if event["type"] == "settled").strip()


def test_audio_in_and_words_out(serve: Serve, audio: NDArray[np.float32], said: str) -> None:
    server = serve()
    with open_socket(server) as socket:
        started = start(socket)
        assert started["type"] == "started"
        assert started["received"] == {"bytes": 0}
        data = pcm(audio)
        for at in range(0, len(data), 6400):
            socket.send(data[at : at + 6400])
        socket.send(json.dumps({"type": "finish"}))
        events = until_end(socket)

    assert settled(events) == said
    kinds = {event["type"] for event in events}
    assert {"speech_started", "partial", "language", "settled", "segment", "utterance_end", "ack"} <= kinds
    assert events[-1] == {"type": "finished", "seq": events[-1]["seq"], "duration": 13.0}
    numbers = [event["seq"] for event in events if "seq" in event]
    assert numbers == list(range(1, len(numbers) + 1))
    word = next(event for event in events if event["type"] == "settled")["words"][0]
    assert word["word"] == " word0"
    assert 0 < word["start"] < word["end"]
    assert word["probability"] == 0.9


@pytest.mark.parametrize("fmt", ["json", "verbose_json", "text", "txt", "srt", "vtt", "tsv", "lrc"])
def test_the_transcript_can_be_fetched_in_every_format(
    serve: Serve, audio: NDArray[np.float32], said: str, fmt: str
) -> None:
    server = serve()
    with open_socket(server) as socket:
        id_ = start(socket)["session"]
        socket.send(pcm(audio))
        socket.send(json.dumps({"type": "finish"}))
        until_end(socket)
    reply = httpx.get(f"{server.url}/v1/live/{id_}", params={"format": fmt})

    assert reply.status_code == 200
    assert reply.headers["x-session-state"] == "finished"
    assert said.split()[-1] in reply.text
    if fmt == "verbose_json":
        assert reply.json()["text"] == said
        assert reply.json()["duration"] == 13.0


def test_a_client_comes_back_and_gets_what_it_missed(
    serve: Serve, audio: NDArray[np.float32], said: str
) -> None:
    server = serve()
    data = pcm(audio)
    with open_socket(server) as socket:
        id_ = start(socket)["session"]
        socket.send(data[:200_000])
        while receive(socket)["type"] != "settled":
            pass
    with open_socket(server) as socket:
        socket.send(json.dumps({"type": "resume", "session": id_, "after": 0}))
        started = receive(socket)
        assert started["session"] == id_
        socket.send(data[started["received"]["bytes"] :])
        socket.send(json.dumps({"type": "finish"}))
        events = until_end(socket)

    assert settled(events) == said
    numbers = [event["seq"] for event in events if "seq" in event]
    assert numbers == list(range(1, len(numbers) + 1))


def test_numbered_frames_may_be_sent_again(serve: Serve, audio: NDArray[np.float32], said: str) -> None:
    server = serve()
    data = pcm(audio)
    frames = [data[at : at + 6400] for at in range(0, len(data), 6400)]
    with open_socket(server) as socket:
        started = start(socket, sequenced=True)
        assert started["received"] == {"bytes": 0, "frame": 0}
        for number, frame in enumerate(frames, 1):
            for again in {max(1, number - 1), number}:
                socket.send(
                    struct.pack(">I", again) + frames[again - 1]
                    if again != number
                    else struct.pack(">I", number) + frame
                )
        socket.send(struct.pack(">I", len(frames) + 5) + frames[0])
        socket.send(json.dumps({"type": "finish"}))
        events = until_end(socket)

    assert settled(events) == said
    errors = [event for event in events if event["type"] == "error"]
    assert [event["message"] for event in errors] == [
        f"Frame {len(frames) + 1} is missing: frame {len(frames) + 5} came instead."
    ]
    assert max(event["frame"] for event in events if event["type"] == "ack") == len(frames)


def test_flush_settles_what_was_said(serve: Serve, audio: NDArray[np.float32]) -> None:
    server = serve()
    with open_socket(server) as socket:
        start(socket, automatic=False)
        socket.send(pcm(audio[:48_000]))
        socket.send(json.dumps({"type": "flush"}))
        events: list[dict[str, Any]] = []
        while not events or events[-1]["type"] != "utterance_end":
            events.append(receive(socket))

    assert "word2" in settled(events)
    assert any(event["type"] == "segment" for event in events)


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ("no json", "message"),
        ("[]", "type"),
        ('{"type":"begin"}', "type"),
        ('{"type":"start","sample_rate":8000}', "start.sample_rate"),
        ('{"type":"start","audio":{"encoding":"mp5"}}', "encoding"),
        ('{"type":"start","audio":{"sample_rate":3}}', "sample_rate"),
        ('{"type":"start","audio":{"channels":9}}', "channels"),
        ('{"type":"start","language":"klingon"}', "language"),
        ('{"type":"start","delay":"never"}', "start.delay"),
    ],
)
def test_a_wrong_opening_is_refused_with_its_reason(serve: Serve, message: str, field: str) -> None:
    with open_socket(serve()) as socket:
        socket.send(message)
        error = receive(socket)
        assert error["type"] == "error"
        assert error["field"] in (field, field.removeprefix("start."))
        with pytest.raises(ConnectionClosed) as closed:
            receive(socket)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4400


def test_an_unknown_session(serve: Serve) -> None:
    server = serve()
    with open_socket(server) as socket:
        socket.send(json.dumps({"type": "resume", "session": "live_" + "0" * 32}))
        assert receive(socket)["code"] == "session_not_found"
        with pytest.raises(ConnectionClosed) as closed:
            receive(socket)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4404
    for call in (httpx.get, httpx.delete):
        reply = call(f"{server.url}/v1/live/live_{'0' * 32}")
        assert reply.status_code == 404
        assert reply.json()["error"]["code"] == "session_not_found"


def test_a_full_server_says_so(serve: Serve) -> None:
    server = serve(LiveLimits(max_sessions=1))
    with open_socket(server) as first, open_socket(server) as second:
        assert start(first)["type"] == "started"
        error = start(second)
        assert error["code"] == "overloaded"
        assert "takes no more than 1" in error["message"]
        with pytest.raises(ConnectionClosed) as closed:
            receive(second)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1013


def test_a_message_too_large_closes_the_connection(serve: Serve) -> None:
    server = serve(LiveLimits(max_frame_bytes=1024))
    with open_socket(server) as socket:
        start(socket)
        socket.send(bytes(1025))
        until_end(socket)
        assert socket.close_code == 1009


def test_a_bad_command_is_told_and_the_connection_lives(serve: Serve, audio: NDArray[np.float32]) -> None:
    with open_socket(serve()) as socket:
        start(socket)
        socket.send('{"type":"dance"}')
        assert receive(socket)["type"] == "error"
        socket.send(pcm(audio[:32_000]))
        socket.send(json.dumps({"type": "finish"}))
        assert until_end(socket)[-1]["type"] == "finished"


def test_a_key_is_wanted_where_there_are_keys(serve: Serve) -> None:
    server = serve(api_keys=[KEY])
    with pytest.raises(InvalidStatus) as refused, open_socket(server):
        pass
    assert refused.value.response.status_code == 401
    with open_socket(server, additional_headers={"authorization": f"Bearer {KEY}"}) as socket:
        assert start(socket)["type"] == "started"
    with open_socket(server, subprotocols=["scriba", f"openai-insecure-api-key.{KEY}"]) as socket:
        assert start(socket)["type"] == "started"


def test_a_session_is_deleted(serve: Serve, audio: NDArray[np.float32]) -> None:
    server = serve()
    with open_socket(server) as socket:
        id_ = start(socket)["session"]
        socket.send(pcm(audio[:32_000]))
        assert httpx.delete(f"{server.url}/v1/live/{id_}").json()["deleted"] is True
        until_end(socket)
    assert httpx.get(f"{server.url}/v1/live/{id_}").status_code == 404


def test_who_speaks_is_told_with_the_words(
    serve: Serve, audio: NDArray[np.float32], said: str, speaker_folder: SpeakerFolder
) -> None:
    server = serve(voices=Own(OnnxNetworks(speaker_folder.model)))
    with open_socket(server) as socket:
        id_ = start(socket, diarize=True, max_speakers=3)["session"]
        socket.send(pcm(audio))
        socket.send(json.dumps({"type": "finish"}))
        events = until_end(socket)

    assert settled(events) == said
    for event in events:
        if event["type"] in {"settled", "segment"}:
            assert all(word["speaker"] in {None, "SPEAKER_00"} for word in event["words"])
    assert all("speaker" in event for event in events if event["type"] == "segment")
    assert [event["type"] for event in events[-2:]] == ["speakers", "finished"]
    assert events[-2]["seq"] == events[-1]["seq"] - 1
    assert {turn["speaker"] for turn in events[-2]["turns"]} == {"SPEAKER_00"}
    assert all(0 <= turn["start"] < turn["end"] <= 13.0 for turn in events[-2]["turns"])
    reply = httpx.get(f"{server.url}/v1/live/{id_}")
    assert {segment["speaker"] for segment in reply.json()["segments"]} == {"SPEAKER_00"}
    assert {word["speaker"] for word in reply.json()["words"]} == {"SPEAKER_00"}


def test_who_does_not_ask_is_told_of_no_speakers(serve: Serve, audio: NDArray[np.float32]) -> None:
    with open_socket(serve()) as socket:
        start(socket, diarize=False)
        socket.send(pcm(audio))
        socket.send(json.dumps({"type": "finish"}))
        assert "speaker" not in json.dumps(until_end(socket))


@pytest.mark.parametrize(
    ("asked", "field", "says"),
    [
        ({"num_speakers": 0}, "num_speakers", "between 1 and 64, not 0"),
        ({"num_speakers": 65}, "num_speakers", "between 1 and 64, not 65"),
        ({"max_speakers": "many"}, "max_speakers", "integer, not 'many'"),
        ({"num_speakers": 2, "max_speakers": 3}, "num_speakers", "without"),
        ({"min_speakers": 4, "max_speakers": 3}, "min_speakers", "at most max_speakers (3), not 4"),
        ({"diarize": False, "num_speakers": 2}, "diarize", "num_speakers asks for speakers"),
        ({"diarize": "perhaps"}, "diarize", "not 'perhaps'"),
        ({"diarize": True, "speaker_channels": True}, "speaker_channels", "not permitted"),
        ({"diarize": True}, "diarize", "no speakers apart"),
    ],
)
def test_a_wrong_wish_for_speakers_is_refused(
    serve: Serve, asked: dict[str, Any], field: str, says: str
) -> None:
    with open_socket(serve()) as socket:
        error = start(socket, **asked)
        assert error["type"] == "error"
        assert error["field"] == field
        assert says in error["message"]
        assert until_end(socket) == []
