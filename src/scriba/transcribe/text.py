"""Comparing what two writings say."""

from __future__ import annotations

import re
import unicodedata


def normalise(text: str) -> str:
    """Lower case, letters and digits only, single spaces: what two writings of one phrase share."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(re.sub(r"[^\w\s]", " ", folded).split())
