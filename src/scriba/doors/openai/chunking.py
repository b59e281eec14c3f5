"""``chunking_strategy``: how OpenAI's clients ask for voice activity detection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from scriba.domain.errors import InvalidOptionError, UnsupportedOptionError
from scriba.domain.options import VadOptions
from scriba.doors.forms import scalar, shown
from scriba.doors.json_body import loads

FIELD = "chunking_strategy"
_KEYS = ("type", "threshold", "prefix_padding_ms", "silence_duration_ms")


def chunking_keys(form: Mapping[str, object]) -> set[str]:
    """The object's members as SDKs send them in a form: ``chunking_strategy[type]`` and so on."""
    return {name for name in form if name.startswith(FIELD + "[") and name.endswith("]")}


def parse_chunking(form: Mapping[str, list[str]], default: VadOptions) -> VadOptions:
    """Voice activity as the form asks for it; ``default`` itself when it does not.

    Raises:
        InvalidOptionError, UnsupportedOptionError: the strategy is none, or a member is wrong.
    """
    text = scalar(form, FIELD)
    keys = chunking_keys(form)
    if text is not None and keys:
        raise InvalidOptionError(f"{FIELD} was sent twice, as text and in parts.", field=FIELD)
    if keys:
        return _server_vad({key[len(FIELD) + 1 : -1]: _plain(scalar(form, key)) for key in keys}, default)
    if text is None:
        return default
    if text.strip() == "auto":
        return replace(default, enabled=True)
    try:
        value = loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise InvalidOptionError(f"{FIELD} must be auto or a JSON object, not {shown(text)}.", field=FIELD)
    return _server_vad(value, default)


def _plain(text: str | None) -> Any:
    """A member of a form is text; what looks like a number is one."""
    try:
        return loads(text or "null")
    except ValueError:
        return text


def _server_vad(value: dict[str, Any], default: VadOptions) -> VadOptions:
    for key in value:
        if key not in _KEYS:
            raise UnsupportedOptionError(
                f"{FIELD} has no member {shown(key)}; it has {', '.join(_KEYS)}.", field=FIELD
            )
    if value.get("type") != "server_vad":
        raise UnsupportedOptionError(
            f"{FIELD} type must be server_vad, not {shown(str(value.get('type')))}.", field=FIELD
        )
    try:
        return replace(
            default,
            enabled=True,
            threshold=_number(value, "threshold", default.threshold),
            speech_pad_ms=_whole(value, "prefix_padding_ms", default.speech_pad_ms),
            min_silence_duration_ms=_whole(value, "silence_duration_ms", default.min_silence_duration_ms),
        )
    except InvalidOptionError as error:
        named = {"speech_pad_ms": "prefix_padding_ms", "min_silence_duration_ms": "silence_duration_ms"}
        message = error.message
        for ours, theirs in named.items():
            message = message.replace(ours, theirs)
        raise InvalidOptionError(f"{FIELD}: {message}", field=FIELD) from None


def _number(value: dict[str, Any], key: str, default: float) -> float:
    given = value.get(key)
    if given is None:
        return float(default)
    if isinstance(given, bool) or not isinstance(given, (int, float)):
        raise InvalidOptionError(f"{key} must be a number, not {shown(str(given))}.", field=FIELD)
    return float(given)


def _whole(value: dict[str, Any], key: str, default: int) -> int:
    given = _number(value, key, default)
    if not given.is_integer() or given > 3_600_000:
        raise InvalidOptionError(f"{key} must be a whole number of milliseconds, not {given!r}.", field=FIELD)
    return int(given)
