"""JSON over a WebSocket at the root: streams, files, and everything a client may get wrong."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.doors_live.conftest import Serve
from tests.live.doubles import pcm
from tests.server.fakes import Serving


@contextmanager
def open_socket(server: Serving) -> Iterator[ClientConnection]:
    with connect(server.url.replace("http", "ws") + "/", max_size=None) as socket:
        yield socket


def receive(socket: ClientConnection) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(socket.recv(timeout=30))
    return body


def send(socket: ClientConnection, **body: Any) -> None:
    socket.send(json.dumps(body))


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def until_final(socket: ClientConnection) -> list[dict[str, Any]]:
    messages = [receive(socket)]
    while not messages[-1].get("is_final"):
        messages.append(receive(socket))
    return messages


def test_a_stream_is_told_as_it_settles_and_whole_at_the_stop(
    serve: Serve, audio: NDArray[np.float32], said: str
) -> None:
    with open_socket(serve()) as socket:
        data = pcm(audio)
        for start in range(0, len(data), 16_000):
            send(socket, type="stream", audio=b64(data[start : start + 16_000]), language="en")
        send(socket, type="stop")
        messages = until_final(socket)
        # The connection stays open for a next stream.
        send(socket, type="stop")
        assert receive(socket) == {"type": "transcript", "text": "", "is_final": True, "language": None}
        send(socket, type="stream", audio=b64(data))
        send(socket, type="stop")
        assert until_final(socket)[-1]["text"] == said

    final = messages.pop()
    assert final == {"type": "transcript", "text": said, "is_final": True, "language": "en"}
    assert " ".join(message["text"] for message in messages) == said
    assert all(message["language"] == "en" for message in messages)
    assert sum(message["duration"] for message in messages) == pytest.approx(12.0, abs=1.5)


def test_text_comes_before_three_seconds_of_audio(serve: Serve, audio: NDArray[np.float32]) -> None:
    with open_socket(serve()) as socket:
        send(socket, type="stream", audio=b64(pcm(audio[: int(2.9 * 16_000)])))
        assert receive(socket)["text"].startswith("word0")


def test_a_file(serve_sound: Serve, beckett: Path) -> None:
    with open_socket(serve_sound()) as socket:
        data = "data:audio/wav;base64," + b64(beckett.read_bytes())
        send(socket, type="file", audio=data, format="wav", language="English")
        reply = receive(socket)

    assert reply["type"] == "file_transcript"
    assert "fail" in reply["text"].lower()
    assert reply["language"] == "en"
    assert reply["duration"] == pytest.approx(10.0, abs=0.1)
    assert reply["real_time_factor"] == pytest.approx(reply["duration"] / reply["processing_time"], rel=0.01)
    assert {"start", "end", "text"} == set(reply["segments"][0])


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ("{", "Invalid JSON"),
        ("[1]", "Invalid message: a JSON object is expected"),
        ("{}", "Unknown message type: None"),
        ('{"type":"sing"}', "Unknown message type: sing"),
        ('{"type":"stream"}', "Missing audio"),
        ('{"type":"stream","audio":7}', "Missing audio"),
        ('{"type":"stream","audio":"%%%"}', "audio is not valid base64"),
        ('{"type":"stream","audio":"YWJj"}', "audio must be 16-bit samples: 3 is an odd number of bytes"),
        ('{"type":"stream","audio":"YWI=","language":"klingon"}', "klingon"),
        ('{"type":"stream","audio":"YWI=","language":5}', "language must be a string or null"),
        ('{"type":"file","audio":"YWI=","format":"exe"}', "Unknown format: exe"),
        ('{"type":"file","audio":"YWI=","format":"mp3","language":"klingon"}', "klingon"),
        ('{"type":"file","audio":"YWJjZGVm","format":"wav"}', "not media that can be decoded"),
    ],
)
def test_whatever_is_wrong_is_told_and_the_connection_lives(
    serve_sound: Serve, message: str, error: str
) -> None:
    with open_socket(serve_sound()) as socket:
        socket.send(message)
        reply = receive(socket)
        assert reply["type"] == "error"
        assert error in reply["message"]
        send(socket, type="stop")
        assert receive(socket)["is_final"] is True


def test_a_binary_frame_is_told(serve: Serve) -> None:
    with open_socket(serve()) as socket:
        socket.send(b"\x00\x01")
        assert "text frame" in receive(socket)["message"]


def test_a_message_over_the_limit_closes_with_1009(serve: Serve) -> None:
    with open_socket(serve(max_message_mib=1)) as socket:
        socket.send('{"type":"stream","audio":"' + "A" * (1 << 20) + '"}')
        with pytest.raises(ConnectionClosed):
            receive(socket)
        assert socket.close_code == 1009


@pytest.mark.slow
def test_a_file_frame_of_thirty_mebibytes(serve_sound: Serve) -> None:
    silence = (
        b"RIFF"
        + (36 + (22 << 20)).to_bytes(4, "little")
        + b"WAVEfmt "
        + bytes.fromhex("100000000100010080bb000000770100020010006461746100006001")
        + bytes(22 << 20)
    )
    with open_socket(serve_sound()) as socket:
        body = json.dumps({"type": "file", "audio": b64(silence), "format": "wav", "language": "en"})
        assert len(body) > 29 << 20
        socket.send(body)
        reply = json.loads(socket.recv(timeout=120))
    assert reply["type"] == "file_transcript"
    assert reply["text"] == ""
    assert reply["duration"] == pytest.approx((22 << 20) / 96_000, abs=0.5)


def test_two_clients_hear_only_themselves(serve: Serve, audio: NDArray[np.float32], said: str) -> None:
    server = serve()
    with open_socket(server) as first, open_socket(server) as second:
        data = pcm(audio)
        send(first, type="stream", audio=b64(data), language="en")
        send(second, type="stream", audio=b64(data[: 4 * 32_000]), language="en")
        send(second, type="stop")
        send(first, type="stop")
        short = until_final(second)[-1]["text"]
        assert until_final(first)[-1]["text"] == said
    assert short
    assert said.startswith(" ".join(short.split()[:4]))
