"""The vocabulary and the token tables that CTranslate2 wants, from a Hugging Face tokenizer."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from scriba.models.convert.alignment import alignment_heads
from scriba.models.convert.state import ConversionError
from scriba.models.convert.writer import Dimensions, TokenTables

ENGLISH_VOCABULARY = 51864
"""Tokens of an English-only model; multilingual ones have at least one more."""

_LANGUAGE = re.compile(r"^<\|[a-z]{2,3}\|>$")
_MAX_JSON_BYTES = 64 << 20
# openai/whisper ``tokenizer.non_speech_tokens``, by text, so that it holds for both vocabularies.
_SYMBOLS = (
    *'"#()*+/:;<=>@[\\]^_`{|}~「」『』',
    *("<<", ">>", "<<<", ">>>", "--", "---", "-(", "-[", "('", '("', "((", "))", "(((", ")))"),
    *("[[", "]]", "{{", "}}", "♪♪", "♪♪♪"),
)
_MUSIC = "♩♪♫♬♭♮♯"
_CONTROL = ("startoftranscript", "translate", "transcribe", "startoflm", "startofprev")
_NO_SPEECH = ("nospeech", "nocaptions")


def load_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file of a sane size; ``{}`` when the file does not exist.

    Raises:
        ConversionError: it is something else.
    """
    if not path.is_file():
        return {}
    if path.stat().st_size > _MAX_JSON_BYTES:
        raise ConversionError(f"{path.name} is too large.")
    try:
        loaded = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ConversionError(f"{path.name} is not valid JSON.") from error
    if not isinstance(loaded, dict):
        raise ConversionError(f"{path.name} does not hold a JSON object.")
    return loaded


def read_vocabulary(tokenizer: Path, size: int) -> list[str]:
    """Every token in the order of its id, timestamps included, ``size`` in all.

    Raises:
        ConversionError: the tokenizer is missing, damaged, or belongs to another model.
    """
    data = load_json(tokenizer)
    try:
        ids: dict[str, int] = dict(data["model"]["vocab"])
        ids.update({token["content"]: token["id"] for token in data.get("added_tokens", [])})
        tokens = {int(number): str(text) for text, number in ids.items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConversionError(
            "tokenizer.json is missing, or is no tokenizer of the expected kind."
        ) from error
    known = sorted(number for number in tokens if number < size)
    if not known or known != list(range(len(known))):
        raise ConversionError("tokenizer.json has gaps in its token ids.")
    words = [tokens[number] for number in known]
    for text in ("<|startoftranscript|>", "<|notimestamps|>"):
        if text not in words:
            raise ConversionError(f"tokenizer.json lacks {text}: it is no tokenizer of Whisper.")
    missing = size - len(words)
    expected = size - words.index("<|notimestamps|>") - 1
    if missing not in (0, expected) or expected != 1501:
        raise ConversionError(f"tokenizer.json does not fit the weights, which know {size} tokens.")
    return words + [f"<|{step * 0.02:.2f}|>" for step in range(missing)]


def read_tables(folder: Path, sizes: Dimensions, name: str | None) -> TokenTables:
    """Token tables of a Hugging Face directory: its generation config first, what is known of Whisper else.

    Args:
        folder: holds ``tokenizer.json``, and perhaps ``generation_config.json`` and ``config.json``.
        name: the model's name in the catalogue, if it is known.
    """
    vocabulary = read_vocabulary(folder / "tokenizer.json", sizes.vocabulary)
    generation = load_json(folder / "generation_config.json") or load_json(folder / "config.json")
    languages = generation.get("lang_to_id")
    if isinstance(languages, dict) and languages:
        lang_ids = sorted(_ids(list(languages.values()), sizes.vocabulary))
    else:
        lang_ids = _language_ids(vocabulary)
    heads = generation.get("alignment_heads")
    return TokenTables(
        vocabulary=vocabulary,
        suppress_ids=_ids(generation.get("suppress_tokens"), sizes.vocabulary) or _non_speech(vocabulary),
        suppress_ids_begin=_ids(generation.get("begin_suppress_tokens"), sizes.vocabulary)
        or [vocabulary.index("Ġ"), vocabulary.index("<|endoftext|>")],
        lang_ids=lang_ids,
        alignment_heads=_pairs(heads, sizes) or alignment_heads(name, sizes),
    )


def _ids(value: object, limit: int) -> list[int]:
    if not isinstance(value, list):
        return []
    return [number for number in value if isinstance(number, int) and 0 <= number < limit]


def _pairs(value: object, sizes: Dimensions) -> list[tuple[int, int]]:
    if not isinstance(value, list):
        return []
    try:
        pairs = [(int(layer), int(head)) for layer, head in value]
    except (TypeError, ValueError):
        return []
    fits = all(0 <= layer < sizes.decoder_layers and 0 <= head < sizes.heads for layer, head in pairs)
    return pairs if fits else []


def _language_ids(vocabulary: list[str]) -> list[int]:
    """Language tokens stand between ``<|startoftranscript|>`` and ``<|translate|>``."""
    first = vocabulary.index("<|startoftranscript|>") + 1
    return [n for n in range(first, first + 110) if n < len(vocabulary) and _LANGUAGE.match(vocabulary[n])]


def _non_speech(vocabulary: list[str]) -> list[int]:
    """Tokens that openai/whisper never lets through: symbols of annotations, and control tokens."""
    from tokenizers.pre_tokenizers import ByteLevel

    encode = ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str
    ids = {text: number for number, text in enumerate(vocabulary)}

    def units(text: str) -> str:
        return "".join(piece for piece, _ in encode(text))

    found = {ids[form] for form in ("-", "'", "Ġ-", "Ġ'") if form in ids and form.startswith("Ġ")}
    for symbol in (*_SYMBOLS, *_MUSIC):
        for form in (units(symbol), "Ġ" + units(symbol)):
            if form in ids:
                found.add(ids[form])
            elif symbol in _MUSIC:
                # The letter itself is no token: its first bytes are.
                longest = next((form[:end] for end in range(len(form) - 1, 0, -1) if form[:end] in ids), None)
                if longest is not None and longest != "Ġ":
                    found.add(ids[longest])
    control = [f"<|{token}|>" for token in (*_CONTROL, *_NO_SPEECH)]
    return sorted(found | {ids[token] for token in control if token in ids})
