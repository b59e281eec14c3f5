"""OpenAPI for bodies that are read as they arrive, which the web framework therefore does not see."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

_TITLES = {
    400: "The request is malformed, or a parameter is wrong.",
    401: "No key, or a wrong one.",
    404: "There is no such thing.",
    409: "It does not fit the state that things are in.",
    410: "Its time is over.",
    408: "The upload stood still.",
    413: "The file or the recording is larger than the server allows.",
    415: "The file is no recording the decoder reads, or the body no form.",
    422: "A parameter is wrong, or cannot be honoured.",
    500: "The server failed.",
    501: "Not served yet.",
    507: "The store is full.",
    503: "The server is full, or the model cannot be had; see Retry-After.",
}


def form_body(form: type[BaseModel], example: dict[str, Any]) -> dict[str, Any]:
    """``openapi_extra`` of a route that takes this form. The form's schema must not refer to others.

    ``example`` is what samples show beside the file; without one they make up a value for every field.
    """
    schema = form.model_json_schema()
    schema["properties"] = {name: _plain(one) for name, one in schema["properties"].items()}
    content = {"multipart/form-data": {"schema": schema, "example": example}}
    return {"requestBody": {"required": True, "content": content}}


def _plain(field: dict[str, Any]) -> dict[str, Any]:
    """A form has no null: a field that may be left out is simply not required."""
    choices = [choice for choice in field.get("anyOf", []) if choice != {"type": "null"}]
    rest = {key: value for key, value in field.items() if key not in ("anyOf", "title")}
    if rest.get("default", ...) in (None, []):
        del rest["default"]
    return choices[0] | rest if len(choices) == 1 else field if choices else rest


def error_responses(model: type[BaseModel], *statuses: int) -> dict[int | str, dict[str, Any]]:
    """``responses`` of a route: what it may answer beside success."""
    return {status: {"model": model, "description": _TITLES[status]} for status in statuses}
