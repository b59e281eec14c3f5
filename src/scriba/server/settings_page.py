"""docs/settings.md, made from the settings themselves (a test keeps the two equal)."""

from __future__ import annotations

from enum import StrEnum
from types import UnionType
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from scriba.server.setting_sources import SettingField, setting_fields, show
from scriba.server.settings import Settings

_INTRO = """\
# Settings

Scriba reads its settings from the command line's flags first, then the environment, then a file `.env` in the
working directory. `scriba settings` prints those in force, with secrets masked. A variable that begins with
`SCRIBA_` and names no setting is refused. An empty variable counts as not set.

Lists are written with commas (`a,b`) or as JSON, pairs as `name=value,…` or as JSON.
`none` switches an optional value off.
"""

_GROUPS = {
    None: "Server, models and limits",
    "decoding": "Decoding (defaults for requests that do not say)",
    "vad": "Voice activity (defaults for requests that do not say)",
    "separation": "Voice from music (defaults for requests that do not say)",
    "store": "Recordings and results",
    "jobs": "Jobs",
    "language": "Language detection (defaults for requests that do not say)",
    "speakers": "Speakers",
    "live": "Live sessions",
}


def settings_markdown() -> str:
    """The page as Markdown."""
    parts = [_INTRO]
    fields = list(setting_fields())
    for group, title in _GROUPS.items():
        rows = [field for field in fields if field.group == group]
        parts.append(f"## {title}\n\n| Variable | Kind | Default | Meaning |\n|---|---|---|---|\n")
        parts[-1] += "".join(_row(field) for field in rows)
    return "\n".join(parts)


def _row(field: SettingField) -> str:
    meaning = (field.info.description or "").replace("|", "\\|")
    return f"| `{field.env}` | {_kind(field.info.annotation)} | {_default(field)} | {meaning} |\n"


def _default(field: SettingField) -> str:
    extra = field.info.json_schema_extra
    if isinstance(extra, dict) and "default_text" in extra:
        return str(extra["default_text"])
    value: Any = field.info.default
    if value is PydanticUndefined or value is None:
        return "–"
    text = show(value).replace("|", "\\|")
    return f"`{text}`" if text else "–"


def _kind(annotation: Any) -> str:
    origin = get_origin(annotation)
    if origin is tuple or origin is list:
        return "list"
    if origin is dict:
        return "pairs"
    if origin is UnionType:
        return _kind(next(part for part in get_args(annotation) if part is not type(None)))
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return " or ".join(f"`{member}`" for member in annotation)
    names = {bool: "true or false", int: "whole number", float: "number", str: "text"}
    return names.get(
        annotation,
        getattr(annotation, "__name__", "text").replace("SecretStr", "secret").replace("Path", "folder"),
    )


def groups() -> dict[str, type[BaseModel]]:
    """The groups there are, by name: the page must have a title for each."""
    return {
        name: info.annotation
        for name, info in Settings.model_fields.items()
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel)
    }
