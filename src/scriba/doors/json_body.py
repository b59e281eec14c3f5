"""JSON as a client sends it: read whole, or refused in one way."""

from __future__ import annotations

import json
import re
from typing import Any

_SURROGATE = re.compile(r"\\u[dD]")


def loads(text: str | bytes) -> Any:
    """What ``text`` says, by RFC 8259.

    Raises:
        ValueError: it is no JSON, is nested too deep to be read, or holds halves of characters, which nobody
            could write down afterwards.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8")
    try:
        value = json.loads(text)
        if _SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("nested too deep") from None
    return value
