"""A form to a request: parsed once, and either valid or refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import TypeVar

from scriba.domain.errors import InvalidOptionError, UnsupportedOptionError
from scriba.domain.options import DecodingOptions, LanguagePolicy, TranscribeOptions, VadOptions
from scriba.domain.transcript import Task
from scriba.doors.forms import boolean, integer, items, number, refuse_unknown, scalar, shown
from scriba.doors.openai.chunking import chunking_keys, parse_chunking
from scriba.doors.openai.form import DIARIZED, RESPONSE_FORMATS, TranscriptionForm, TranslationForm
from scriba.doors.speakers import speaker_options
from scriba.formats.rules import LineRules

T = TypeVar("T")
Fields = Mapping[str, list[str]]

_FORMS = {Task.TRANSCRIBE: TranscriptionForm, Task.TRANSLATE: TranslationForm}
_RULES = tuple(rule.name for rule in fields(LineRules))
_SUBTITLES = ("srt", "vtt")
_STREAMED = ("json", "text", DIARIZED)
_NOT_HONOURED = {
    "include": "This server gives no log probabilities of tokens.",
}


@dataclass(frozen=True, slots=True)
class AudioRequest:
    """What one call of an audio route asks for."""

    options: TranscribeOptions
    response_format: str
    rules: LineRules | None = None
    segments: bool = True
    words: bool = False
    stream: bool = False


def parse_request(form: Fields, task: Task, defaults: TranscribeOptions) -> AudioRequest:
    """Read the fields of a transcription or a translation.

    Raises:
        InvalidOptionError: a value is wrong; the error's ``field`` names it.
        UnsupportedOptionError: a field or a value is not one this server honours.
    """
    form = {name: values for name, values in form.items() if name == "file" or any(map(str.strip, values))}
    _refuse(form, task)
    response_format = _response_format(form, task)
    rules = _rules(form, response_format)
    segments, words = _granularities(form, response_format)
    stream = boolean(form, "stream") or False
    if stream and response_format not in _STREAMED:
        raise UnsupportedOptionError(
            f"stream goes with response_format json, text or diarized_json, not {response_format}.",
            field="stream",
        )
    options = TranscribeOptions(
        model=scalar(form, "model"),
        task=task,
        language=_language(form, defaults.language),
        decoding=_decoding(form, defaults.decoding),
        vad=_vad(form, defaults.vad),
        words=words or (rules is not None and rules.needs_words),
        guards=_or(boolean(form, "guards"), defaults.guards),
        separation=defaults.separation,
        speakers=speaker_options(form, asked=response_format == DIARIZED),
    )
    return AudioRequest(options, response_format, rules, segments, words, stream)


def _refuse(form: Fields, task: Task) -> None:
    for name in form:
        reason = _NOT_HONOURED.get(name.removesuffix("[]"))
        if reason is not None and task is Task.TRANSCRIBE:
            raise UnsupportedOptionError(f"{name} is not supported: {reason}", field=name.removesuffix("[]"))
    model = _FORMS[task]
    known = {info.alias or name for name, info in model.model_fields.items()}
    bare = {name.removesuffix("[]") for name in known}
    refuse_unknown({name: None for name in form if name not in chunking_keys(form)}, known | bare)


def _response_format(form: Fields, task: Task) -> str:
    text = scalar(form, "response_format")
    if text is None:
        return "json"
    formats = (*RESPONSE_FORMATS, DIARIZED) if task is Task.TRANSCRIBE else RESPONSE_FORMATS
    if text not in formats:
        raise InvalidOptionError(
            f"response_format must be one of {', '.join(formats)}, not {shown(text)}.",
            field="response_format",
        )
    return text


def _rules(form: Fields, response_format: str) -> LineRules | None:
    sent = [name for name in _RULES if scalar(form, name) is not None]
    if sent and response_format not in _SUBTITLES:
        raise InvalidOptionError(
            f"{sent[0]} goes with response_format srt or vtt, not {response_format}.", field=sent[0]
        )
    if not sent:
        return None
    return LineRules(
        max_line_chars=integer(form, "max_line_chars"),
        max_lines=integer(form, "max_lines"),
        max_duration=number(form, "max_duration"),
        max_gap=number(form, "max_gap"),
        max_chars_per_second=number(form, "max_chars_per_second"),
    )


def _granularities(form: Fields, response_format: str) -> tuple[bool, bool]:
    """Whether segments and words are asked for."""
    name = "timestamp_granularities"
    wanted = items(form, name)
    for value in wanted:
        if value not in ("word", "segment"):
            raise InvalidOptionError(f"{name} must be word or segment, not {shown(value)}.", field=name)
    if wanted and response_format != "verbose_json":
        raise InvalidOptionError(
            f"{name} goes with response_format verbose_json, not {response_format}.", field=name
        )
    return not wanted or "segment" in wanted, "word" in wanted


def _language(form: Fields, default: LanguagePolicy) -> LanguagePolicy:
    asked = LanguagePolicy.parse(scalar(form, "language"), items(form, "languages"))
    if asked.language is not None:
        return asked
    return replace(default, allowed=asked.allowed or default.allowed)


def _decoding(form: Fields, default: DecodingOptions) -> DecodingOptions:
    temperature = number(form, "temperature")
    keywords = items(form, "keywords")
    return replace(
        default,
        beam_size=_or(integer(form, "beam_size"), default.beam_size),
        # OpenAI documents the rise as belonging to 0 alone.
        temperatures=(temperature,) if temperature else default.temperatures,
        initial_prompt=scalar(form, "prompt") or default.initial_prompt,
        hotwords=", ".join(keywords) if keywords else default.hotwords,
    )


def _vad(form: Fields, default: VadOptions) -> VadOptions:
    options = parse_chunking(form, default)
    wanted = boolean(form, "vad_filter")
    if wanted is None:
        return options
    if not wanted and options is not default:
        raise InvalidOptionError(
            "vad_filter is false, but chunking_strategy asks for it.", field="vad_filter"
        )
    return replace(options, enabled=wanted)


def _or(value: T | None, default: T) -> T:
    return default if value is None else value
