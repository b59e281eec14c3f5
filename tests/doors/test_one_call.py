"""``POST /transcribe`` as its clients know it."""

from __future__ import annotations

from pathlib import Path

import pytest

from scriba.domain.errors import (
    EngineError,
    MediaTooLargeError,
    ModelUnavailableError,
    OverloadedError,
    UnsupportedMediaError,
)
from tests.server.fakes import SPOKEN, FakeTranscriber, client, services, upload


async def test_answers_the_text_alone(tmp_path: Path) -> None:
    fake = FakeTranscriber(texts=("  It was the best of times,", "it was the worst of times. "))
    async with client(services(tmp_path, fake)) as http:
        reply = await http.post("/transcribe", files=upload())
    assert reply.status_code == 200
    assert reply.json() == {"transcript": SPOKEN}
    assert fake.heard == [b"RIFF sound"]


@pytest.mark.parametrize(
    ("sent", "code"), [("french", "fr"), ("FR", "fr"), ("", None), ("auto", None), ("Mandarin", "zh")]
)
async def test_takes_a_language_by_code_or_name(tmp_path: Path, sent: str, code: str | None) -> None:
    fake = FakeTranscriber()
    async with client(services(tmp_path, fake)) as http:
        reply = await http.post("/transcribe", files=upload(), data={"language": sent})
    assert reply.status_code == 200
    assert fake.calls[0].language.language == code


async def test_unknown_language_is_422_and_costs_nothing(tmp_path: Path) -> None:
    fake = FakeTranscriber()
    async with client(services(tmp_path, fake)) as http:
        reply = await http.post("/transcribe", files=upload(), data={"language": "klingon"})
    assert reply.status_code == 422
    assert "klingon" in reply.json()["detail"]
    assert fake.calls == []


async def test_empty_file_is_400(tmp_path: Path) -> None:
    async with client(services(tmp_path)) as http:
        reply = await http.post("/transcribe", files=upload(b""))
    assert reply.status_code == 400
    assert reply.json() == {"detail": "file is empty: it holds no bytes."}


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UnsupportedMediaError("That is no recording."), 415),
        (MediaTooLargeError("Too long."), 413),
        (ModelUnavailableError("No model."), 503),
        (EngineError("Inference failed."), 500),
        (OverloadedError("Full.", retry_after=3.2), 503),
    ],
)
async def test_each_error_has_its_status_and_detail(tmp_path: Path, error: Exception, status: int) -> None:
    async with client(services(tmp_path, FakeTranscriber(error=error))) as http:
        reply = await http.post("/transcribe", files=upload())
    assert (reply.status_code, reply.json()) == (status, {"detail": str(error)})
    assert reply.headers.get("retry-after") == ("4" if isinstance(error, OverloadedError) else None)


async def test_an_unforeseen_error_tells_its_id_and_no_more(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with client(services(tmp_path, FakeTranscriber(error=RuntimeError("/secret/place")))) as http:
        reply = await http.post("/transcribe", files=upload(), headers={"x-request-id": "abc-1"})
    assert reply.status_code == 500
    assert "abc-1" in reply.json()["detail"]
    assert "secret" not in reply.text
    assert reply.headers["x-request-id"] == "abc-1"


async def test_what_nobody_reads_is_refused(tmp_path: Path) -> None:
    async with client(services(tmp_path)) as http:
        unknown = await http.post("/transcribe", files=upload(), data={"lang": "fr"})
        nothing = await http.post("/transcribe", files={"language": (None, "fr")})
        twice = await http.post("/transcribe", files=upload(), data={"language": ["fr", "de"]})
        text = await http.post("/transcribe", content=b"{}", headers={"content-type": "application/json"})
        wrong = await http.get("/transcribe")
    assert (unknown.status_code, "lang is no field" in unknown.json()["detail"]) == (422, True)
    assert (nothing.status_code, nothing.json()["detail"]) == (
        422,
        "file is missing: send the recording in it.",
    )
    assert twice.status_code == 422
    assert text.status_code == 415
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")


async def test_what_stands_in_the_address_is_refused_not_ignored(tmp_path: Path) -> None:
    fake = FakeTranscriber()
    async with client(services(tmp_path, fake)) as http:
        reply = await http.post("/transcribe?language=fr", files=upload())
    assert reply.status_code == 422
    assert reply.json() == {"detail": "language stands in the address; send it as a field of the form."}
    assert fake.calls == []
