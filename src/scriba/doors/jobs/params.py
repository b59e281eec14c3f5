"""An order's fields to the work it asks for: parsed once, valid or refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from scriba.domain.errors import InvalidOptionError, UnsupportedOptionError
from scriba.domain.job import DEFAULT_PRIORITY, JobKind
from scriba.domain.options import (
    DecodingOptions,
    LanguagePolicy,
    SeparationOptions,
    TranscribeOptions,
    VadOptions,
)
from scriba.domain.transcript import Task
from scriba.doors import speakers
from scriba.doors.errors import MalformedRequestError
from scriba.doors.forms import boolean, integer, items, number, refuse_unknown, scalar, shown
from scriba.doors.jobs.wire import JobForm
from scriba.doors.json_body import loads

Fields = Mapping[str, list[str]]

FIELDS = frozenset(JobForm.model_fields) - {"file"}
_LISTS = ("languages", "keywords", *speakers.LISTS)
_VAD = (
    "threshold",
    "min_speech_duration_ms",
    "max_speech_duration_s",
    "min_silence_duration_ms",
    "speech_pad_ms",
)
_NUMBERS = ("threshold", "max_speech_duration_s")
_OF_TRANSCRIPTIONS = frozenset(
    (
        "model",
        "task",
        "language",
        "languages",
        "prompt",
        "keywords",
        "temperature",
        "beam_size",
        "words",
        "vad_filter",
        "guards",
        "separate",
        *speakers.FIELDS,
        *speakers.LISTS,
    )
)


@dataclass(frozen=True, slots=True)
class JobRequest:
    """``media_id`` and ``url`` say where the recording is, if no file was sent."""

    work: TranscribeOptions | VadOptions | SeparationOptions
    media_id: str | None
    url: str | None
    priority: int
    webhook_url: str | None


def parse_job(form: Fields, defaults: TranscribeOptions, *, has_file: bool) -> JobRequest:
    """
    Raises:
        InvalidOptionError: a value is wrong, or there is no recording, or more than one.
        UnsupportedOptionError: a field is not one of this route.
    """
    known = FIELDS | {f"{name}[]" for name in _LISTS}
    refuse_unknown(form, known)
    media_id, url = scalar(form, "media_id"), scalar(form, "url")
    if [has_file, media_id is not None, url is not None].count(True) != 1:
        raise InvalidOptionError("Send exactly one of file, media_id and url.", field="file")
    kind = _choice(form, "kind", [kind.value for kind in JobKind], JobKind.TRANSCRIPTION.value)
    vad = _vad(form, defaults.vad)
    priority = integer(form, "priority")
    return JobRequest(
        work=_work(JobKind(kind), form, defaults, vad),
        media_id=media_id,
        url=url,
        priority=DEFAULT_PRIORITY if priority is None else priority,
        webhook_url=scalar(form, "webhook_url"),
    )


def fields_of_json(body: bytes) -> dict[str, list[str]]:
    """A JSON object as a form has it.

    Raises:
        MalformedRequestError: it is no JSON object.
        InvalidOptionError: a value is neither a scalar nor a list of them.
    """
    try:
        parsed: Any = loads(body)
    except ValueError:
        raise MalformedRequestError("The body is not valid JSON.") from None
    if not isinstance(parsed, dict):
        raise MalformedRequestError("The body must be a JSON object.")
    fields: dict[str, list[str]] = {}
    for name, value in parsed.items():
        values = value if isinstance(value, list) else [value]
        if any(isinstance(one, dict | list) for one in values):
            raise InvalidOptionError(f"{shown(name)} must be a plain value.", field=name[:60])
        fields[name] = [_text(one) for one in values if one is not None]
    return fields


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _work(
    kind: JobKind, form: Fields, defaults: TranscribeOptions, vad: VadOptions
) -> TranscribeOptions | VadOptions | SeparationOptions:
    if kind is JobKind.TRANSCRIPTION:
        return _transcribe(form, defaults, vad)
    others = _OF_TRANSCRIPTIONS | (frozenset(_VAD) if kind is JobKind.SEPARATION else {"separation_model"})
    for name in form:
        if name.removesuffix("[]") in others:
            right = "transcription or separation" if name == "separation_model" else "transcription"
            right = "transcription or vad" if name in _VAD else right
            raise UnsupportedOptionError(f"{name} goes with kind {right}, not {kind}.", field=name)
    if kind is JobKind.VAD:
        return replace(vad, enabled=True)
    return replace(_separation(form, defaults.separation), keep=True)


def _separation(form: Fields, default: SeparationOptions | None) -> SeparationOptions:
    default = default or SeparationOptions()
    return replace(default, model=scalar(form, "separation_model") or default.model)


def _separation_before(form: Fields, default: SeparationOptions | None) -> SeparationOptions | None:
    wanted, named = boolean(form, "separate"), scalar(form, "separation_model") is not None
    if wanted is False and named:
        raise InvalidOptionError("separate is false, but separation_model asks for it.", field="separate")
    if wanted is None:
        wanted = default is not None or named
    return _separation(form, default) if wanted else None


def _transcribe(form: Fields, defaults: TranscribeOptions, vad: VadOptions) -> TranscribeOptions:
    language = LanguagePolicy.parse(scalar(form, "language"), items(form, "languages"))
    if language.language is None:
        language = replace(defaults.language, allowed=language.allowed or defaults.language.allowed)
    enabled, guards = boolean(form, "vad_filter"), boolean(form, "guards")
    return TranscribeOptions(
        model=scalar(form, "model"),
        task=Task(_choice(form, "task", [task.value for task in Task], Task.TRANSCRIBE.value)),
        language=language,
        decoding=_decoding(form, defaults.decoding),
        vad=vad if enabled is None else replace(vad, enabled=enabled),
        words=boolean(form, "words") or False,
        guards=defaults.guards if guards is None else guards,
        separation=_separation_before(form, defaults.separation),
        speakers=speakers.speaker_options(form),
    )


def _decoding(form: Fields, default: DecodingOptions) -> DecodingOptions:
    temperature, beam_size = number(form, "temperature"), integer(form, "beam_size")
    keywords = items(form, "keywords")
    return replace(
        default,
        beam_size=default.beam_size if beam_size is None else beam_size,
        temperatures=(temperature,) if temperature else default.temperatures,
        initial_prompt=scalar(form, "prompt") or default.initial_prompt,
        hotwords=", ".join(keywords) if keywords else default.hotwords,
    )


def _vad(form: Fields, default: VadOptions) -> VadOptions:
    changes: dict[str, Any] = {
        name: number(form, name) if name in _NUMBERS else integer(form, name) for name in _VAD
    }
    return replace(default, **{name: value for name, value in changes.items() if value is not None})


def _choice(form: Fields, name: str, choices: list[str], default: str) -> str:
    value = scalar(form, name) or default
    if value not in choices:
        raise InvalidOptionError(
            f"{name} must be one of {', '.join(choices)}, not {shown(value)}.", field=name
        )
    return value
