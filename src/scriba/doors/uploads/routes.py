"""Transport of ``/v1/uploads``: tus 1.0.0 with creation, creation-with-upload, expiration and termination.

(https://tus.io/protocols/resumable-upload)
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import AsyncIterator
from email.utils import formatdate

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from starlette.types import Message

from scriba.domain.errors import InvalidOptionError, MediaTooLargeError, ScribaError
from scriba.doors.context import DoorContext
from scriba.doors.errors import MalformedRequestError, UploadTimeoutError, WrongContentTypeError, reply_to
from scriba.doors.forms import shown
from scriba.jobs.service import BrokenOffError, Upload, UploadStore

PREFIX = "/v1/uploads"
VERSION = "1.0.0"
_EXTENSIONS = "creation,creation-with-upload,expiration,termination"
_OFFSETS = "application/offset+octet-stream"
_LARGEST_METADATA = 4096
TUS_HEADERS = (
    "tus-resumable",
    "tus-version",
    "tus-extension",
    "tus-max-size",
    "upload-offset",
    "upload-length",
    "upload-expires",
    "upload-metadata",
    "x-media-id",
)
"""What a page of another origin must be let see."""


def uploads_router(context: DoorContext, uploads: UploadStore) -> APIRouter:
    """The door's routes."""
    router = APIRouter(prefix=PREFIX, tags=["Resumable upload"])

    @router.options("", include_in_schema=False)
    @router.options("/{upload_id}", include_in_schema=False)
    async def options() -> Response:
        return _answer(
            204,
            {
                "Tus-Version": VERSION,
                "Tus-Extension": _EXTENSIONS,
                "Tus-Max-Size": str(context.uploads.max_bytes),
            },
        )

    @router.post("", status_code=201, response_class=Response, summary="Begin a resumable upload (tus)")
    async def create(request: Request) -> Response:
        """`Upload-Length` is wanted; `Upload-Metadata` may hold `filename`. The answer's `Location` is the
        upload. When it is complete, `X-Media-Id` names the recording for `POST /v1/jobs`."""

        async def work() -> Response:
            size = _number(request, "Upload-Length")
            if size > context.uploads.max_bytes:
                raise MediaTooLargeError(
                    f"Upload-Length is {size:,}; this server takes {context.uploads.max_bytes:,} bytes.",
                    field="Upload-Length",
                )
            if size == 0:
                raise InvalidOptionError("Upload-Length must be at least 1, not 0.", field="Upload-Length")
            metadata = request.headers.get("upload-metadata", "")
            name = _file_name(metadata)
            with context.admission.place():
                upload = await uploads.create(size, metadata)
                if request.headers.get("content-type") == _OFFSETS:
                    upload = await uploads.append(upload.id, 0, _body(request, context), name)
            root: str = request.scope.get("root_path", "")
            return _answer(201, {"Location": f"{root}{PREFIX}/{upload.id}", **_state(upload)})

        return await _told(request, work())

    @router.head("/{upload_id}", include_in_schema=False)
    async def state(request: Request, upload_id: str) -> Response:
        async def work() -> Response:
            upload = await uploads.get(upload_id)
            headers = {"Upload-Length": str(upload.size), "Cache-Control": "no-store", **_state(upload)}
            if upload.metadata:
                headers["Upload-Metadata"] = upload.metadata
            return _answer(200, headers)

        return await _told(request, work())

    @router.patch("/{upload_id}", status_code=204, response_class=Response, summary="Add to an upload (tus)")
    async def append(request: Request, upload_id: str) -> Response:
        """From `Upload-Offset` on. What has arrived when the connection breaks is kept."""

        async def work() -> Response:
            if request.headers.get("content-type") != _OFFSETS:
                raise WrongContentTypeError(f"Content-Type must be {_OFFSETS}.")
            offset = _number(request, "Upload-Offset")
            with context.admission.place():
                known = await uploads.get(upload_id)
                name = _file_name(known.metadata)
                upload = await uploads.append(upload_id, offset, _body(request, context), name)
            return _answer(204, _state(upload))

        return await _told(request, work())

    @router.post("/{upload_id}", include_in_schema=False)
    async def override(request: Request, upload_id: str) -> Response:
        """For clients behind what lets no PATCH through: they name the method in a header."""
        methods = {"PATCH": append, "DELETE": terminate, "HEAD": state}
        meant = methods.get(request.headers.get("x-http-method-override", "").upper())
        if meant is None:
            raise HTTPException(405, headers={"allow": "HEAD, PATCH, DELETE, OPTIONS"})
        return await meant(request, upload_id)

    @router.delete(
        "/{upload_id}", status_code=204, response_class=Response, summary="Give an upload up (tus)"
    )
    async def terminate(request: Request, upload_id: str) -> Response:
        async def work() -> Response:
            await uploads.terminate(upload_id)
            return _answer(204, {})

        return await _told(request, work())

    return router


async def _told(request: Request, work: object) -> Response:
    """The answer; errors with tus's own header. Another version of tus is refused."""
    assert asyncio.iscoroutine(work)  # noqa: S101 - ours alone
    sent = request.headers.get("tus-resumable", "")
    if sent != VERSION:
        work.close()
        return JSONResponse(
            {"error": {"message": f"Tus-Resumable must be {VERSION}, not {shown(sent)}.",
                       "type": "invalid_request_error", "param": "Tus-Resumable", "code": "invalid_value"}},
            412,
            {"Tus-Version": VERSION, "Tus-Resumable": VERSION},
        )  # fmt: skip
    try:
        answer = await work
        assert isinstance(answer, Response)  # noqa: S101 - ours alone
    except ScribaError as error:
        reply = reply_to(error, openai=True)
        return JSONResponse(reply.body, reply.status, reply.headers | {"Tus-Resumable": VERSION})
    return answer


def _answer(status: int, headers: dict[str, str]) -> Response:
    return Response(status_code=status, headers={"Tus-Resumable": VERSION, **headers})


def _state(upload: Upload) -> dict[str, str]:
    headers = {"Upload-Offset": str(upload.received)}
    if upload.media_id is not None:
        headers["X-Media-Id"] = upload.media_id
    else:
        headers["Upload-Expires"] = formatdate(upload.expires_at, usegmt=True)
    return headers


def _number(request: Request, name: str) -> int:
    text = request.headers.get(name, "")
    if not text.isdecimal() or len(text) > 18:
        raise InvalidOptionError(f"{name} must be a whole number, not {shown(text)}.", field=name)
    return int(text)


def _file_name(metadata: str) -> str:
    """``filename`` (or ``name``) of tus's metadata: pairs with commas, each a key and base64."""
    if len(metadata) > _LARGEST_METADATA:
        raise InvalidOptionError(
            f"Upload-Metadata is longer than {_LARGEST_METADATA} characters.", field="Upload-Metadata"
        )
    names: dict[str, str] = {}
    for pair in metadata.split(","):
        key, _, value = pair.strip().partition(" ")
        try:
            names[key] = base64.b64decode(value, validate=True).decode("utf-8", "replace")
        except (ValueError, binascii.Error):
            raise MalformedRequestError(
                "Upload-Metadata is not of tus's form.", field="Upload-Metadata"
            ) from None
    return names.get("filename") or names.get("name") or ""


async def _body(request: Request, context: DoorContext) -> AsyncIterator[bytes]:
    while True:
        try:
            message: Message = await asyncio.wait_for(request.receive(), context.uploads.idle_seconds)
        except TimeoutError:
            raise UploadTimeoutError("The upload stood still.") from None
        if message["type"] == "http.disconnect":
            raise BrokenOffError
        if message.get("body"):
            yield message["body"]
        if not message.get("more_body", False):
            return
