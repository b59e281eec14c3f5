"""OpenAPI for bodies that are read as they arrive, which the web framework therefore does not see."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

_TITLES = {
    400: "The request is malformed, or a parameter is wrong.",
    401: "No key, or a wrong one.",
    404: "No such model.",
    408: "The upload stood still.",
    413: "The file or the recording is larger than the server allows.",
    415: "The file is no recording the decoder reads, or the body no form.",
    422: "A parameter is wrong, or cannot be honoured.",
    500: "The server failed.",
    503: "The server is full, or the model cannot be had; see Retry-After.",
}


def form_body(form: type[BaseModel]) -> dict[str, Any]:
    """``openapi_extra`` of a route that takes this form. The form's schema must not refer to others."""
    return {
        "requestBody": {
            "required": True,
            "content": {"multipart/form-data": {"schema": form.model_json_schema()}},
        }
    }


def error_responses(model: type[BaseModel], *statuses: int) -> dict[int | str, dict[str, Any]]:
    """``responses`` of a route: what it may answer beside success."""
    return {status: {"model": model, "description": _TITLES[status]} for status in statuses}
