"""What was heard in a window as text, and back without loss, to be kept while the window waits its turn."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from scriba.engine.port import AlignedWord, Decoded, Phrase
from scriba.transcribe.listening import HeardPhrase, Pass


def passes_to_text(passes: list[Pass]) -> str:
    return json.dumps([asdict(one) for one in passes], ensure_ascii=False, separators=(",", ":"))


def passes_from_text(text: str) -> list[Pass]:
    return [
        Pass(
            body["offset"],
            Decoded(**body["decoded"] | {"phrases": tuple(map(_phrase, body["decoded"]["phrases"]))}),
            tuple(_heard(one) for one in body["phrases"]),
            body["silent"],
        )
        for body in json.loads(text)
    ]


def _heard(body: dict[str, Any]) -> HeardPhrase:
    words = body["words"]
    return HeardPhrase(_phrase(body["phrase"]), None if words is None else tuple(map(_word, words)))


def _phrase(body: dict[str, Any]) -> Phrase:
    return Phrase(**body | {"tokens": tuple(body["tokens"])})


def _word(body: dict[str, Any]) -> AlignedWord:
    return AlignedWord(**body | {"tokens": tuple(body["tokens"])})
