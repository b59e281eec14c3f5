"""Reading the settings, and telling where each came from."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from pydantic import BaseModel, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import SettingsError as ParseError

from scriba.server.settings import PREFIX, Settings

MASK = "********"
FIXED_NAMES = {"hf_token": "HF_TOKEN", "db_url": "DB_URL"}
"""Settings whose variables others have named."""


class SettingsError(Exception):
    """A setting is wrong. The message is one line that names it."""


@dataclass(frozen=True, slots=True)
class SettingField:
    """One setting. ``path`` is its place in ``Settings``: ``("decoding", "beam_size")``."""

    path: tuple[str, ...]
    env: str
    info: FieldInfo
    group: str | None

    @property
    def name(self) -> str:
        return ".".join(self.path)


@dataclass(frozen=True, slots=True)
class Effective:
    """A setting as it is in force. ``source`` is ``flag``, ``environment``, ``.env`` or ``default``."""

    name: str
    env: str
    value: str
    source: str


def setting_fields(model: type[BaseModel] = Settings, path: tuple[str, ...] = ()) -> Iterator[SettingField]:
    """Every setting, a group's fields in place of the group."""
    for name, info in model.model_fields.items():
        here = (*path, name)
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            yield from setting_fields(info.annotation, here)
            continue
        env = FIXED_NAMES.get(name) if not path else None
        env = env or PREFIX + "__".join(here).upper()
        yield SettingField(here, env, info, path[0] if path else None)


def load_settings(flags: Mapping[str, Any] | None = None, env_file: str | Path | None = ".env") -> Settings:
    """Read the settings; a flag that is None was not given.

    Raises:
        SettingsError: a value is wrong, or a variable with Scriba's prefix names no setting.
    """
    given = {name: value for name, value in (flags or {}).items() if value is not None}
    _refuse_unknown({**_from_file(env_file), **os.environ})
    try:
        return Settings(_env_file=env_file, **given)
    except ValidationError as error:
        raise SettingsError(_explain(error, given)) from None
    except ParseError as error:
        field = str(error).partition('field "')[2].partition('"')[0]
        raise SettingsError(f"{PREFIX}{field.upper()}: begins like JSON, but is none.") from None


def effective(
    settings: Settings, flags: Mapping[str, Any] | None = None, env_file: str | Path | None = ".env"
) -> list[Effective]:
    """Every setting with its value, secrets masked, and where it came from."""
    given = {name for name, value in (flags or {}).items() if value is not None}
    environment = {name.upper() for name, value in os.environ.items() if value}
    in_file = {name.upper() for name, value in _from_file(env_file).items() if value}
    rows = []
    for setting in setting_fields():
        names = {setting.env, PREFIX + setting.path[0].upper()}
        if setting.path[0] in given:
            source = "flag"
        elif names & environment:
            source = "environment"
        elif names & in_file:
            source = ".env"
        else:
            source = "default"
        value: Any = settings
        for part in setting.path:
            value = getattr(value, part)
        rows.append(Effective(setting.name, setting.env, show(value), source))
    return rows


def show(value: object) -> str:
    """A value as it would be written in the environment; a secret is masked."""
    if value is None:
        return ""
    if isinstance(value, SecretStr):
        return MASK
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return ",".join(f"{name}={target}" for name, target in value.items())
    if isinstance(value, (tuple, list)):
        return ",".join(show(item) for item in value)
    return str(value)


def _from_file(env_file: str | Path | None) -> dict[str, str | None]:
    return dict(dotenv_values(env_file)) if env_file is not None and Path(env_file).is_file() else {}


def _refuse_unknown(variables: Mapping[str, str | None]) -> None:
    fields = list(setting_fields())
    known = {field.env for field in fields} | {PREFIX + field.path[0].upper() for field in fields}
    for name in variables:
        if name.upper().startswith(PREFIX) and name.upper() not in known:
            close = difflib.get_close_matches(name.upper(), known, 1)
            hint = f" Did you mean {close[0]}?" if close else ""
            raise SettingsError(f"{name} is no setting of Scriba.{hint}")


def _explain(error: ValidationError, flags: Mapping[str, Any]) -> str:
    lines = []
    for fault in error.errors(include_url=False, include_context=False):
        path = tuple(str(part) for part in fault["loc"] if not isinstance(part, int)) or ("settings",)
        top = path[0].lower()
        reason = fault["msg"].removeprefix("Value error, ")
        # A group is checked as a whole, and its message begins with the field.
        first = reason.partition(" ")[0]
        if len(path) == 1 and PREFIX + f"{top}__{first}".upper() in {field.env for field in setting_fields()}:
            path = (top, first)
        if top in flags:
            name = "--" + top.replace("_", "-")
        elif top in FIXED_NAMES:
            name = FIXED_NAMES[top]
        else:
            name = PREFIX + "__".join(path).upper()
        value = fault.get("input")
        shown = (
            ""
            if top in {"api_keys", "hf_token", "db_url", "webhook_secret", "store"}
            or not isinstance(value, (str, int, float))
            else f" ({value!r})"
        )
        lines.append(f"{name}{shown}: {reason[:1].lower()}{reason[1:].rstrip('.')}.")
    return " ".join(lines)
