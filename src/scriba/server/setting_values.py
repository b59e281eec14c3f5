"""How a setting is written as one string: lists with commas, pairs with an equals sign, or JSON."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def split_list(value: Any) -> Any:
    """``a,b`` or ``["a","b"]`` as a list; anything that is no string is left alone."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    if text.startswith("["):
        return _from_json(text)
    return [part.strip() for part in text.split(",") if part.strip()]


def split_pairs(value: Any) -> Any:
    """``a=b,c=d`` or ``{"a":"b"}`` as a dictionary; anything that is no string is left alone."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    if text.startswith("{"):
        return _from_json(text)
    pairs: dict[str, str] = {}
    for part in split_list(text):
        name, equals, target = part.partition("=")
        if not equals or not name.strip() or not target.strip():
            raise ValueError(f"{part!r} is not of the form name=model")
        pairs[name.strip()] = target.strip()
    return pairs


def default_data_dir() -> Path:
    """``scriba`` in the user's data directory (XDG Base Directory Specification)."""
    base = os.environ.get("XDG_DATA_HOME", "").strip()
    root = Path(base) if base and Path(base).is_absolute() else Path.home() / ".local" / "share"
    return root / "scriba"


def _from_json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise ValueError("begins like JSON, but is none") from None
