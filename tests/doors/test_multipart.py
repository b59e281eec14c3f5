"""Uploads: counted while they arrive, on disk without a name, gone in every case."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from scriba.domain.errors import CancelledByUserError, MediaTooLargeError, OverloadedError, ScribaError
from scriba.doors.context import UploadLimits
from scriba.doors.errors import MalformedRequestError, UploadTimeoutError, WrongContentTypeError
from scriba.doors.multipart import MAX_FIELDS, MAX_FIELDS_BYTES, UploadForm, receive_form

BOUNDARY = "xyz"


def part(name: str, value: bytes, extra: str = "") -> bytes:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{extra}\r\n\r\n'
    return head.encode() + value + b"\r\n"


def names(folder: Path) -> list[str]:
    return [entry.name for entry in folder.iterdir()]


def full_disk() -> Any:
    return Path("/dev/full").open("w+b")  # buffered, as temporary files are


END = f"--{BOUNDARY}--\r\n".encode()


def request(*chunks: bytes, headers: dict[str, str] | None = None, gone: bool = False) -> Request:
    """A request whose body comes in these chunks; the client hangs up after them when ``gone``."""
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": chunk, "more_body": gone or index < len(chunks) - 1}
        for index, chunk in enumerate(chunks)
    ]
    if gone:
        messages.append({"type": "http.disconnect"})

    async def receive() -> dict[str, Any]:
        if messages:
            return messages.pop(0)
        await asyncio.Event().wait()
        raise AssertionError

    named = {"content-type": f"multipart/form-data; boundary={BOUNDARY}", **(headers or {})}
    raw = [(name.encode(), value.encode()) for name, value in named.items()]
    return Request({"type": "http", "method": "POST", "headers": raw}, receive)


def limits(folder: Path, max_bytes: int = 10_000, idle: float = 5.0) -> UploadLimits:
    return UploadLimits(max_bytes, idle, folder)


async def read(
    folder: Path, *chunks: bytes, max_bytes: int = 10_000, idle: float = 5.0, **more: Any
) -> tuple[UploadForm, bytes]:
    async with receive_form(request(*chunks, **more), limits(folder, max_bytes, idle)) as form:
        data = form.file.read() if form.file else b""
        assert names(folder) == []  # no name even while it is there
    assert form.file is None or form.file.closed
    return form, data


@given(
    data=st.binary(max_size=3000),
    text=st.text(max_size=50),
    cut=st.integers(min_value=1, max_value=200),
)
def test_any_content_in_any_pieces_arrives_unchanged(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, text: str, cut: int
) -> None:
    folder = tmp_path_factory.mktemp("spool")
    whole = part("language", text.encode()) + part("file", data, '; filename="a.wav"') + END
    chunks = [whole[at : at + cut] for at in range(0, len(whole), cut)]
    form, got = asyncio.run(read(folder, *chunks))
    assert got == data
    assert form.file_bytes == len(data)
    assert form.fields == {"language": [text]}


async def test_the_name_decides_what_is_the_file(tmp_path: Path) -> None:
    form, data = await read(tmp_path, part("file", b"abc"), part("prompt", b"x", '; filename="p"') + END)
    assert data == b"abc"
    assert form.fields == {"prompt": ["x"]}


async def test_a_file_over_the_limit_is_refused_while_it_arrives(tmp_path: Path) -> None:
    chunks = [part("file", b"")[:-2], *[b"x" * 1000] * 20]
    made = request(*chunks, gone=True)
    with pytest.raises(MediaTooLargeError, match="10,000 bytes"):
        async with receive_form(made, limits(tmp_path)):
            pass
    left = 0
    while (await made.receive())["type"] == "http.request":
        left += 1
    assert left >= 9  # refused in the middle, not at the end


async def test_a_length_over_the_limit_is_refused_before_a_byte_is_read(tmp_path: Path) -> None:
    made = request(b"", headers={"content-length": "100000000"}, gone=True)
    with pytest.raises(MediaTooLargeError):
        async with receive_form(made, limits(tmp_path)):
            pass
    assert (await made.receive())["type"] == "http.request"


async def test_the_limit_itself_is_allowed(tmp_path: Path) -> None:
    _, data = await read(tmp_path, part("file", b"x" * 10_000) + END)
    assert len(data) == 10_000


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"not a form", MalformedRequestError),
        (part("file", b"abc"), MalformedRequestError),
        (b"", MalformedRequestError),
        (b"--xyz\r\nX: y\r\n\r\nabc\r\n" + END, MalformedRequestError),
        (part("file", b"a") + part("file", b"b") + END, ScribaError),
        (b"".join(part(f"f{n}", b"") for n in range(MAX_FIELDS + 1)) + END, MalformedRequestError),
        (part("prompt", b"x" * (MAX_FIELDS_BYTES + 1)) + END, MalformedRequestError),
    ],
)
async def test_a_broken_form_is_refused(tmp_path: Path, body: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        await read(tmp_path, body, max_bytes=10_000_000)


@pytest.mark.parametrize("kind", ["application/json", "", "multipart/mixed; boundary=a"])
async def test_other_bodies_are_refused(tmp_path: Path, kind: str) -> None:
    with pytest.raises(WrongContentTypeError):
        await read(tmp_path, b"", headers={"content-type": kind})


async def test_a_form_without_boundary_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MalformedRequestError):
        await read(tmp_path, b"", headers={"content-type": "multipart/form-data"})


async def test_a_client_that_hangs_up_leaves_nothing(tmp_path: Path) -> None:
    before = len(names(Path("/proc/self/fd")))
    with pytest.raises(CancelledByUserError):
        await read(tmp_path, part("file", b"x" * 5000)[:-2], gone=True)
    assert names(tmp_path) == []
    assert len(names(Path("/proc/self/fd"))) == before


async def test_a_client_that_stands_still_is_given_up(tmp_path: Path) -> None:
    half = request(part("file", b"abc")[:-2], b"")

    async def first_then_nothing() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    stuck = Request(half.scope, first_then_nothing)
    with pytest.raises(UploadTimeoutError, match=r"0\.05 seconds"):
        async with receive_form(stuck, limits(tmp_path, idle=0.05)):
            pass


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("size", [10, 5000])
async def test_a_full_disk_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: full_disk())
    with pytest.raises(OverloadedError, match="no room"):
        await read(tmp_path, part("file", b"x" * size) + END)
