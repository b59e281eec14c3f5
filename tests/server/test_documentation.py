"""The documentation works without the internet, and says what the server does."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest
from httpx import AsyncClient
from pydantic import TypeAdapter

from scriba.doors.openai import wire
from scriba.doors.openai.form import TranscriptionForm, TranslationForm
from scriba.server.documentation import STATIC_DIR
from tests.server.fakes import client, services, upload


@pytest.mark.parametrize("page", ["/docs", "/redoc"])
async def test_a_page_loads_only_what_the_server_has(tmp_path: Path, page: str) -> None:
    async with client(services(tmp_path)) as http:
        reply = await http.get(page)
        references = re.findall(r'(?:src|href|data-openapi)="([^"]*)"', reply.text)
        assert len(references) == 5
        for reference in references:
            assert re.match(r"^/[a-z]", reference), reference
            assert (await http.get(reference)).status_code == 200, reference
    assert "//" not in reply.text.replace("<!DOCTYPE", "")
    policy = reply.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "http" not in policy
    assert "*" not in policy


def test_our_own_start_files_load_nothing_from_elsewhere() -> None:
    for name in ("swagger-start.js", "redoc-start.js", "swagger-ui.css"):
        text = (STATIC_DIR / name).read_text(encoding="utf-8")
        hosts = set(re.findall(r"(?:https?:)?//([a-z0-9.-]+\.[a-z]+)", text))
        assert hosts <= {"www.w3.org"}, name  # the name of SVG's name space, not an address
    assert "googleapis" not in (STATIC_DIR / "redoc-start.js").read_text(encoding="utf-8")


def test_the_files_of_others_are_the_published_ones() -> None:
    readme = (STATIC_DIR / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([^`]+)` \| [^|]+ \| `([0-9a-f]{64})` \|$", readme, re.MULTILINE)
    assert len(rows) == 3
    for name, digest in rows:
        assert hashlib.sha256((STATIC_DIR / name).read_bytes()).hexdigest() == digest, name


async def document(http: AsyncClient) -> dict:  # type: ignore[type-arg]
    reply = await http.get("/openapi.json")
    assert reply.status_code == 200
    found: dict = reply.json()  # type: ignore[type-arg]
    return found


async def test_the_document_has_the_routes_and_their_fields(tmp_path: Path) -> None:
    async with client(services(tmp_path)) as http:
        found = await document(http)
    assert set(found["paths"]) == {
        "/health",
        "/ready",
        "/version",
        "/transcribe",
        "/v1/audio/transcriptions",
        "/v1/audio/translations",
        "/v1/models",
        "/v1/models/{model}",
    }
    for path, form in (
        ("/v1/audio/transcriptions", TranscriptionForm),
        ("/v1/audio/translations", TranslationForm),
    ):
        operation = found["paths"][path]["post"]
        schema = operation["requestBody"]["content"]["multipart/form-data"]["schema"]
        assert set(schema["properties"]) == {info.alias or name for name, info in form.model_fields.items()}
        assert schema["required"] == ["file"]
        assert "422" not in operation["responses"]
        assert {"400", "404", "413", "415", "503"} <= set(operation["responses"])
    one = found["paths"]["/transcribe"]["post"]
    assert one["responses"]["422"]["content"]["application/json"]["schema"]["$ref"].endswith("/Detail")
    assert "HTTPValidationError" not in str(found)
    assert str(found).count("'$ref'") > 5
    names = set(found["components"]["schemas"])
    assert all(name in names for name in re.findall(r"#/components/schemas/([^']+)'", str(found)))


async def test_answers_are_as_documented(tmp_path: Path) -> None:
    verbose = TypeAdapter(wire.VerboseTranscription)
    async with client(services(tmp_path)) as http:
        for route, kind in (("transcriptions", "transcribe"), ("translations", "translate")):
            reply = await http.post(
                f"/v1/audio/{route}", files=upload(), data={"response_format": "verbose_json"}
            )
            body = reply.json()
            assert verbose.validate_python(body).task == kind
            assert set(body) <= set(wire.VerboseTranscription.model_fields)
            assert set(body["segments"][0]) <= set(wire.Segment.model_fields)
        for name, kind in (
            ("json", "application/json"),
            ("text", "text/plain; charset=utf-8"),
            ("srt", "application/x-subrip; charset=utf-8"),
            ("vtt", "text/vtt; charset=utf-8"),
        ):
            data = {"response_format": name}
            reply = await http.post("/v1/audio/transcriptions", files=upload(), data=data)
            assert reply.headers["content-type"] == kind
