"""Options and transcripts as JSON, and back without loss."""

from __future__ import annotations

import base64
import dataclasses
import json
from dataclasses import asdict
from typing import Any

from scriba.domain.options import (
    DecodingOptions,
    LanguagePolicy,
    SeparationOptions,
    TranscribeOptions,
    VadOptions,
)
from scriba.domain.speakers import KnownSpeaker, SpeakerOptions, SpeakerTurn
from scriba.domain.transcript import Segment, Suppressed, SuppressionReason, Task, Transcript, Word

JsonObject = dict[str, Any]


def dumps(value: object) -> str:
    """One line, with sorted keys: equal values are equal text. Infinity is written as Python writes it."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def options_to_json(options: TranscribeOptions) -> JsonObject:
    body = asdict(options)
    if options.speakers is None:
        del body["speakers"]  # as before there was such a wish: the same work has the same fingerprint
        return body
    for speaker in body["speakers"]["known"]:
        speaker["clip"] = base64.b64encode(speaker["clip"]).decode()
    return body


def options_from_json(body: JsonObject) -> TranscribeOptions:
    decoding = dict(body["decoding"])
    for name in ("temperatures", "suppress_tokens"):
        decoding[name] = tuple(decoding[name])
    language = dict(body["language"])
    language["allowed"] = tuple(language["allowed"])
    return TranscribeOptions(
        model=body["model"],
        task=Task(body["task"]),
        language=LanguagePolicy(**language),
        decoding=_known(DecodingOptions, decoding),
        vad=_known(VadOptions, body["vad"]),
        words=body["words"],
        guards=body["guards"],
        chunk_length=body.get("chunk_length"),
        batch_size=body.get("batch_size"),
        separation=separation_from_json(body.get("separation")),
        speakers=_speakers(body.get("speakers")),
    )


def separation_from_json(body: JsonObject | None) -> SeparationOptions | None:
    if body is None:
        return None
    options: SeparationOptions = _known(SeparationOptions, body)
    return options


def _speakers(body: JsonObject | None) -> SpeakerOptions | None:
    if body is None:
        return None
    known = tuple(KnownSpeaker(one["name"], base64.b64decode(one["clip"])) for one in body["known"])
    options: SpeakerOptions = _known(SpeakerOptions, body | {"known": known})
    return options


def segment_to_json(segment: Segment) -> JsonObject:
    return asdict(segment)


def segment_from_json(body: JsonObject) -> Segment:
    words = body["words"]
    fields = body | {
        "words": None if words is None else tuple(Word(**word) for word in words),
        "tokens": tuple(body["tokens"]),
    }
    segment: Segment = _known(Segment, fields)
    return segment


def suppressed_to_json(suppressed: Suppressed) -> JsonObject:
    return asdict(suppressed)


def suppressed_from_json(body: JsonObject) -> Suppressed:
    return Suppressed(body["start"], body["end"], body["text"], SuppressionReason(body["reason"]))


def transcript_to_json(transcript: Transcript) -> JsonObject:
    return asdict(transcript)


def transcript_from_json(body: JsonObject) -> Transcript:
    return Transcript(
        segments=tuple(segment_from_json(one) for one in body["segments"]),
        duration=body["duration"],
        language=body["language"],
        language_probability=body["language_probability"],
        task=Task(body["task"]),
        model=body["model"],
        suppressed=tuple(suppressed_from_json(one) for one in body["suppressed"]),
        turns=tuple(SpeakerTurn(**one) for one in body.get("turns", ())),
        speech=tuple((start, end) for start, end in body.get("speech", ())),
    )


def _known(kind: Any, body: JsonObject) -> Any:
    """Fields that this version knows: a later one may have written more."""
    names = {field.name for field in dataclasses.fields(kind)}
    return kind(**{name: value for name, value in body.items() if name in names})
