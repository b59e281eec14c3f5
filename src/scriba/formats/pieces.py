"""Text as the pieces between which a line may be broken.

Spaces separate pieces; scripts that write none may be broken between characters, within the rules that
Japanese calls kinsoku (no closing mark begins a line, no opening mark ends one; Unicode Standard Annex 14).
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from scriba.formats.graphemes import cluster_width, graphemes, text_width

_NOT_FIRST = frozenset(
    "、。，．・：；？！,.:;?!%％‰℃°′″…‥〜～ー―ヽヾゝゞ々〻"
    "ぁぃぅぇぉっゃゅょゎゕゖァィゥェォッャュョヮヵヶㇰㇱㇲㇳㇴㇵㇶㇷㇸㇹㇺㇻㇼㇽㇾㇿ"
    "｡､･ﾞﾟｰｧｨｩｪｫｬｭｮｯ"
    "\u0e30\u0e32\u0e33\u0e45\u0e46\u0e2f\u0eb0\u0eb2\u0eb3\u0ec6\u0eaf"  # vowels after (Thai, Lao)
    "\u17d4\u17d5\u17d6\u17d7\u104a\u104b"  # Khmer and Myanmar full stops
)
_NOT_LAST = frozenset(
    "￥￡＄¥£$€#＃@＠"
    "\u0e40\u0e41\u0e42\u0e43\u0e44\u0ec0\u0ec1\u0ec2\u0ec3\u0ec4"  # vowels written before their consonant
)
_NO_BREAK = frozenset("\u00a0\u2007\u202f\u2060")
_BREAK_AFTER = frozenset("\u200b\u2014\u0f0b")  # zero-width space, em dash, Tibetan tsheg


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of text that stays on one line.

    ``space`` tells that a space stands before it when it does not begin a line. ``first`` and ``end`` are
    offsets into the text counted without white space.
    """

    text: str
    space: bool
    width: int
    first: int
    end: int


def split_pieces(text: str, max_width: int | None = None) -> list[Piece]:
    """Pieces of cleaned text; what is wider than ``max_width`` columns is cut between clusters."""
    pieces: list[Piece] = []
    offset = 0
    for chunk, space in _chunks(text):
        for number, part in enumerate(_fit(chunk, max_width)):
            inked = sum(not char.isspace() for char in part)
            pieces.append(
                Piece(part, space and number == 0, text_width(part), first=offset, end=offset + inked)
            )
            offset += inked
    return pieces


def join_pieces(pieces: list[Piece]) -> str:
    """The text of consecutive pieces on one line."""
    return "".join(
        (" " if piece.space and number else "") + piece.text for number, piece in enumerate(pieces)
    )


def _chunks(text: str) -> list[tuple[str, bool]]:
    """Pieces of any width, each with whether a space stood before it."""
    chunks: list[tuple[str, bool]] = []
    current: list[str] = []
    space = False
    for cluster in graphemes(text):
        if cluster == " ":
            if current:
                chunks.append(("".join(current), space))
            current, space = [], True
        elif current and _may_break(current[-1], cluster):
            chunks.append(("".join(current), space))
            current, space = [cluster], False
        else:
            current.append(cluster)
    if current:
        chunks.append(("".join(current), space))
    return chunks


def _fit(chunk: str, max_width: int | None) -> list[str]:
    if max_width is None or text_width(chunk) <= max_width:
        return [chunk]
    parts: list[str] = []
    current, width = "", 0
    for cluster in graphemes(chunk):
        columns = cluster_width(cluster)
        if current and width + columns > max_width:
            parts.append(current)
            current, width = "", 0
        current += cluster
        width += columns
    parts.append(current)
    return parts


def _may_break(before: str, after: str) -> bool:
    if before[-1] in _NO_BREAK or after[0] in _NO_BREAK:
        return False
    if before[-1] in _BREAK_AFTER:
        return not _not_first(after)
    if not (_is_spaceless(before[0]) or _is_spaceless(after[0])):
        return False
    return not (_not_first(after) or _not_last(before))


def _not_first(cluster: str) -> bool:
    return cluster[0] in _NOT_FIRST or unicodedata.category(cluster[0]) in ("Pe", "Pf")


def _not_last(cluster: str) -> bool:
    return cluster[0] in _NOT_LAST or unicodedata.category(cluster[0]) in ("Ps", "Pi")


def _is_spaceless(char: str) -> bool:
    """Of a script that does not separate words by spaces. Hangul does."""
    if "\u0e00" <= char <= "\u0eff" or "\u1000" <= char <= "\u109f" or "\u1780" <= char <= "\u17ff":
        return True  # Thai, Lao, Myanmar, Khmer
    if "\u1100" <= char <= "\u11ff" or "\u3130" <= char <= "\u318f" or "\uac00" <= char <= "\ud7fb":
        return False
    return unicodedata.east_asian_width(char) in "WFH"
