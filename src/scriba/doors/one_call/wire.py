"""What ``POST /transcribe`` takes and gives."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class OneCallForm(BaseModel):
    """The form's fields."""

    file: bytes = Field(
        description="The recording, in any container or codec the decoder reads (webm, m4a, wav, …).",
        json_schema_extra={"format": "binary"},
    )
    language: str | None = Field(
        None,
        description="ISO 639-1 or 639-3 code, or English name, in any case; left out, it is detected.",
        examples=["fr", "french"],
    )


class OneCallReply(BaseModel):
    """The whole text, without white space around it."""

    model_config = ConfigDict(json_schema_extra={"example": {"transcript": "It was the best of times."}})

    transcript: str


class Detail(BaseModel):
    """An error, in words for the person who sent the request."""

    detail: str
