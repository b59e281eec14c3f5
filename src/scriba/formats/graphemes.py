"""What a reader sees as one character, and how many columns it takes.

Grapheme clusters follow Unicode Standard Annex 29 as far as ``unicodedata`` carries what it needs; widths
follow Annex 11.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_ZWJ = "\u200d"
_ZWNJ = "\u200c"
_VARIATION_EMOJI = "\ufe0f"
_SARA_AM = "\u0e33\u0eb3"  # Thai and Lao: spacing letters that Annex 29 keeps with their consonant
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ufeff]")
_SURROGATES = re.compile("[\ud800-\udfff]")
_SPACES = re.compile("[^\\S\u00a0\u2007\u202f]+")  # every white space but the ones that forbid a break


def clean_text(text: str) -> str:
    """``text`` on one line: white space is one space each, control characters are gone.

    No-break spaces stay, for French sets them before its punctuation. What UTF-8 cannot hold (half a
    surrogate pair) becomes U+FFFD.
    """
    return _SPACES.sub(" ", _SURROGATES.sub("\ufffd", _CONTROLS.sub("", text))).strip()


def graphemes(text: str) -> list[str]:
    """``text`` cut into grapheme clusters."""
    clusters: list[str] = []
    current = ""
    for char in text:
        if current and _extends(current, char):
            current += char
        else:
            if current:
                clusters.append(current)
            current = char
    if current:
        clusters.append(current)
    return clusters


def _extends(cluster: str, char: str) -> bool:
    """Whether ``char`` belongs to the cluster before it."""
    category = unicodedata.category(char)
    if category[0] == "M" or char in (_ZWJ, _ZWNJ) or char in _SARA_AM:
        return True
    if "\U0001f3fb" <= char <= "\U0001f3ff" or "\U000e0020" <= char <= "\U000e007f":
        return True  # skin tones, and the tags of flags
    last = cluster[-1]
    if last == _ZWJ:
        return category == "So" or unicodedata.category(cluster[0])[0] == "L"
    if unicodedata.combining(last) == 9 and category == "Lo":
        return True  # a virama or coeng binds the next consonant
    if _is_flag_half(char):
        return _is_flag_half(last) and len(cluster) == 1
    return _is_jamo_sequence(last, char)


def _is_flag_half(char: str) -> bool:
    return "\U0001f1e6" <= char <= "\U0001f1ff"


def _is_jamo_sequence(last: str, char: str) -> bool:
    if "\u1160" <= char <= "\u11ff" or "\ud7b0" <= char <= "\ud7fb":  # medial vowel, final consonant
        return "\u1100" <= last <= "\u11ff" or "\ua960" <= last <= "\ud7fb"
    leading = "\u1100" <= last <= "\u115f" or "\ua960" <= last <= "\ua97c"
    return leading and ("\u1100" <= char <= "\u115f" or "\uac00" <= char <= "\ud7a3")


@lru_cache(maxsize=4096)
def cluster_width(cluster: str) -> int:
    """Columns that one grapheme cluster takes: 0, 1 or 2."""
    if _VARIATION_EMOJI in cluster:
        return 2
    width = 0
    for char in cluster:
        if unicodedata.category(char) in ("Mn", "Me", "Cf"):
            continue
        width += 2 if unicodedata.east_asian_width(char) in "WF" else 1
    return min(width, 2)


def text_width(text: str) -> int:
    """Columns that ``text`` takes."""
    return sum(cluster_width(cluster) for cluster in graphemes(text))
