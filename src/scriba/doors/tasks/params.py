"""A task's parameters to the work they ask for: each does what it says, or is refused by name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from scriba.domain.errors import InvalidOptionError, UnsupportedOptionError
from scriba.domain.language import normalise_language
from scriba.domain.options import (
    DEVICES,
    DecodingOptions,
    LanguagePolicy,
    SeparationOptions,
    TranscribeOptions,
    VadOptions,
)
from scriba.domain.speakers import SpeakerOptions
from scriba.domain.transcript import Task
from scriba.doors.forms import refuse_unknown, shown
from scriba.doors.tasks.fields import MUSIC, TRANSCRIPTION, VAD, Field

Fields = Mapping[str, list[str]]

_SECRETS = frozenset({"hf_token"})
_AS_THEY_ARE = (
    "beam_size",
    "log_prob_threshold",
    "no_speech_threshold",
    "best_of",
    "patience",
    "condition_on_previous_text",
    "prompt_reset_on_temperature",
    "initial_prompt",
    "compression_ratio_threshold",
    "length_penalty",
    "repetition_penalty",
    "no_repeat_ngram_size",
    "prefix",
    "suppress_blank",
    "max_initial_timestamp",
    "max_new_tokens",
    "hotwords",
    "hallucination_silence_threshold",
)
_USUAL = {
    "prepend_punctuations": "\"'“¿([{-",
    "append_punctuations": "\"'.。,，!！?？:：”)]}、",
}
"""What clients send who want nothing special: the usual signs, of which this server knows a few more."""


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What a request may ask for only as it is: set when the server starts.

    ``unloads`` says that idle models leave memory.
    """

    compute_type: str = "auto"
    unloads: bool = True
    speaker_devices: tuple[str, ...] = ("cpu",)


@dataclass(frozen=True, slots=True)
class TaskRequest:
    """``params`` are the parameters as they were sent, without secrets, as JSON.

    ``separation_model`` is the model that was named, whether or not anything is to be separated.
    """

    work: TranscribeOptions | VadOptions | SeparationOptions
    params: str
    separation_model: str | None = None


def merge(query: Fields, form: Fields) -> dict[str, list[str]]:
    """Both together; what the address names wins."""
    return {**form, **query}


def parse_transcription(fields: Fields, defaults: TranscribeOptions, facts: ServerFacts) -> TaskRequest:
    """
    Raises:
        InvalidOptionError: a value is wrong.
        UnsupportedOptionError: a parameter, or its value, is not one this server honours.
    """
    sent = _parse(fields, TRANSCRIPTION)
    _refuse_what_cannot_be(sent, facts)
    return TaskRequest(
        TranscribeOptions(
            model=sent.get("model_size"),
            task=Task.TRANSLATE if sent.get("is_translate") else Task.TRANSCRIBE,
            language=_language(sent, defaults.language),
            decoding=_decoding(sent, defaults.decoding),
            vad=_vad(sent, defaults.vad),
            words=bool(sent.get("word_timestamps", defaults.words)),
            guards=defaults.guards,
            chunk_length=sent.get("chunk_length", defaults.chunk_length),
            batch_size=sent.get("batch_size", defaults.batch_size),
            separation=_separation_before(sent, defaults.separation),
            speakers=SpeakerOptions() if sent.get("is_diarize") else None,
        ),
        _params(sent),
        sent.get("uvr_model_size"),
    )


def parse_vad(fields: Fields, defaults: VadOptions) -> TaskRequest:
    """As ``parse_transcription``, for the parameters of voice activity."""
    sent = _parse(fields, VAD)
    if sent.get("vad_filter") is False:
        raise UnsupportedOptionError(
            "vad_filter is false, but this task is nothing else.", field="vad_filter"
        )
    return TaskRequest(replace(_vad(sent, defaults), enabled=True), _params(sent))


def parse_separation(fields: Fields, defaults: SeparationOptions | None) -> TaskRequest:
    """As ``parse_transcription``, for the parameters of music separation."""
    sent = _parse(fields, MUSIC)
    if sent.get("is_separate_bgm") is False:
        raise UnsupportedOptionError(
            "is_separate_bgm is false, but this task is nothing else.", field="is_separate_bgm"
        )
    # With or without save_file: the files are what this task is for.
    return TaskRequest(replace(_separation(sent, defaults), keep=True), _params(sent))


def _separation_before(
    sent: Mapping[str, Any], default: SeparationOptions | None
) -> SeparationOptions | None:
    options = _separation(sent, default)
    if sent.get("is_separate_bgm", default is not None):
        return options
    if options.keep:
        raise UnsupportedOptionError(
            "save_file keeps what is_separate_bgm separates; send is_separate_bgm=true with it.",
            field="save_file",
        )
    return None


def _separation(sent: Mapping[str, Any], default: SeparationOptions | None) -> SeparationOptions:
    default = default or SeparationOptions()
    device = sent.get("uvr_device", default.device).strip().lower()
    if device not in DEVICES:
        raise InvalidOptionError(
            f"uvr_device must be one of {', '.join(DEVICES)}, not {shown(device)}.", field="uvr_device"
        )
    return replace(
        default,
        model=sent.get("uvr_model_size") or default.model,
        segment_size=sent.get("segment_size", default.segment_size),
        device=device,
        keep=sent.get("save_file", default.keep),
    )


def _parse(fields: Fields, known: Mapping[str, Field]) -> dict[str, Any]:
    refuse_unknown(fields, known)
    return {name: known[name].parse(name, values) for name, values in fields.items()}


def _params(sent: Mapping[str, Any]) -> str:
    kept = {name: value for name, value in sent.items() if name not in _SECRETS}
    return json.dumps(kept, ensure_ascii=False, sort_keys=True)


def _language(sent: Mapping[str, Any], default: LanguagePolicy) -> LanguagePolicy:
    language = normalise_language(sent.get("lang"), field="lang")
    threshold = sent.get("language_detection_threshold")
    return replace(
        default,
        language=language,
        allowed=() if language is not None else default.allowed,
        threshold=default.threshold if threshold is None else threshold,
        windows=sent.get("language_detection_segments", default.windows),
    )


def _decoding(sent: Mapping[str, Any], default: DecodingOptions) -> DecodingOptions:
    changes = {name: sent[name] for name in _AS_THEY_ARE if name in sent}
    if "temperature" in sent:
        # One number is one try, as with the original.
        changes["temperatures"] = (sent["temperature"],)
    if "suppress_tokens" in sent:
        changes["suppress_tokens"] = tuple(sent["suppress_tokens"])
    for name, usual in _USUAL.items():
        if sent.get(name) is not None and sent[name] != usual:
            changes[name] = sent[name]
    return replace(default, **changes)


def _vad(sent: Mapping[str, Any], default: VadOptions) -> VadOptions:
    changes = {name: sent[name] for name in VAD if name in sent and name != "vad_filter"}
    return replace(default, enabled=sent.get("vad_filter", default.enabled), **changes)


def _refuse_what_cannot_be(sent: Mapping[str, Any], facts: ServerFacts) -> None:
    unloads = str(facts.unloads).lower()
    known: dict[str, tuple[tuple[str, ...], str]] = {
        "diarization_device": (
            (*facts.speaker_devices, "auto", ""),
            f"this server tells speakers apart on {' or '.join(facts.speaker_devices)}",
        ),
        "compute_type": (
            (facts.compute_type, "auto", "default"),
            f"this server computes in {facts.compute_type}, which is set when it starts"
            if facts.compute_type != "auto"
            else "this server chooses by itself (auto), which is set when it starts",
        ),
        "enable_offload": ((unloads,), f"it is {unloads} for this server, which is set when it starts"),
    }
    for name, (honoured, reason) in known.items():
        value = str(sent.get(name)).strip().lower()
        if name in sent and value not in honoured:
            raise UnsupportedOptionError(f"{name} cannot be {shown(value)}: {reason}.", field=name)
