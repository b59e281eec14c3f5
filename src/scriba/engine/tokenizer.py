"""Whisper's tokens: text, specials and timestamps (openai/whisper ``tokenizer.py``)."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import tokenizers

from scriba.domain.errors import EngineError
from scriba.domain.language import LANGUAGES
from scriba.domain.transcript import SPACELESS_LANGUAGES, Task

TIME_PRECISION = 0.02
"""Seconds between two timestamp tokens, and between two positions of the encoder's output."""

_BROKEN = "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True, slots=True)
class WordTokens:
    """A word and the tokens it is made of."""

    text: str
    tokens: tuple[int, ...]


class WhisperTokenizer:
    """Reads a model's ``tokenizer.json``. Thread-safe: nothing changes after construction."""

    def __init__(self, path: Path, *, multilingual: bool) -> None:
        self._tokenizer = tokenizers.Tokenizer.from_file(str(path))
        self.multilingual = multilingual
        # A prompt is the same for every window of a recording, and wanted twice for each.
        self._encode = lru_cache(maxsize=64)(self._encode_now)
        self.end_of_text = self._special("<|endoftext|>")
        self.start_of_transcript = self._special("<|startoftranscript|>")
        self.start_of_previous = self._special("<|startofprev|>")
        self.no_timestamps = self._special("<|notimestamps|>")
        self.first_timestamp = self.no_timestamps + 1
        self.no_speech = self._tokenizer.token_to_id("<|nospeech|>") or self._special("<|nocaptions|>")
        self._tasks: dict[Task, int] = {}
        if multilingual:
            self._tasks = {task: self._special(f"<|{task}|>") for task in Task}
        ids = {code: self._tokenizer.token_to_id(f"<|{code}|>") for code in LANGUAGES}
        self._languages: dict[str, int] = {code: token for code, token in ids.items() if token is not None}

    @property
    def language_tokens(self) -> Mapping[str, int]:
        """The token of each language that the vocabulary has one for."""
        return self._languages

    @property
    def languages(self) -> frozenset[str]:
        """Codes of the languages the model has a token for; only English for an English-only model."""
        return frozenset(self._languages) if self.multilingual else frozenset({"en"})

    def start_sequence(self, language: str, task: Task) -> list[int]:
        """The tokens that open a transcript and name its language and task."""
        if not self.multilingual:
            return [self.start_of_transcript]
        return [self.start_of_transcript, self._languages[language], self._tasks[task]]

    def encode(self, text: str) -> list[int]:
        return list(self._encode(text))

    def _encode_now(self, text: str) -> tuple[int, ...]:
        return tuple(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def decode(self, tokens: Sequence[int]) -> str:
        """Text of ``tokens``; specials and timestamps are left out."""
        text: str = self._tokenizer.decode([token for token in tokens if token < self.end_of_text])
        return text

    def is_timestamp(self, token: int) -> bool:
        return token >= self.first_timestamp

    def seconds(self, timestamp: int) -> float:
        """Seconds from the window's start that a timestamp token stands for."""
        return (timestamp - self.first_timestamp) * TIME_PRECISION

    def words(self, tokens: Sequence[int], language: str) -> list[WordTokens]:
        """Group text tokens into words.

        Words start at a space or stand alone as punctuation; in scripts without spaces every group of tokens
        that decodes to whole characters is one.
        """
        characters = self._whole_characters(tokens)
        if language in SPACELESS_LANGUAGES:
            return characters
        words: list[WordTokens] = []
        for piece in characters:
            opens = piece.text.startswith(" ") or piece.text.strip() in string.punctuation or not words
            if opens:
                words.append(piece)
            else:
                words[-1] = WordTokens(words[-1].text + piece.text, words[-1].tokens + piece.tokens)
        return words

    def _whole_characters(self, tokens: Sequence[int]) -> list[WordTokens]:
        """Cut at every place where the bytes so far are complete characters."""
        pieces: list[WordTokens] = []
        pending: list[int] = []
        for token in tokens:
            pending.append(token)
            text = self.decode(pending)
            # A character that truly decodes to U+FFFD (broken output) must not swallow the rest: 4 tokens
            # are the most a UTF-8 character can take.
            if _BROKEN not in text or len(pending) >= 4:
                pieces.append(WordTokens(text, tuple(pending)))
                pending = []
        if pending:
            pieces.append(WordTokens(self.decode(pending), tuple(pending)))
        return pieces

    def _special(self, token: str) -> int:
        found: int | None = self._tokenizer.token_to_id(token)
        if found is None:
            raise EngineError(f"The model's tokenizer is incomplete: it has no {token}.")
        return found
