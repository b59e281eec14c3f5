"""What the decoder reads before it writes: earlier text, hotwords, the start of a transcript, a prefix."""

from __future__ import annotations

from dataclasses import dataclass

from scriba.engine.port import DecodeRequest
from scriba.engine.tokenizer import WhisperTokenizer

MAX_TOKENS = 448
"""Length of Whisper's text context: prompt and answer together."""

_PROMPT_TOKENS = MAX_TOKENS // 2 - 1


@dataclass(frozen=True, slots=True)
class Prompt:
    """``tokens`` with the start of the transcript at place ``start``; ``opening`` of them are already
    transcript, the prefix with its timestamp."""

    tokens: tuple[int, ...]
    start: int
    opening: int

    @property
    def room(self) -> int:
        """The most tokens an answer may have: the rest of the context, and no more than half of it."""
        return min(MAX_TOKENS - len(self.tokens), MAX_TOKENS // 2)


def prompt_for(tokenizer: WhisperTokenizer, request: DecodeRequest) -> Prompt:
    """Previous text, hotwords, the start sequence and a prefix, each cut to what the context holds."""
    options = request.options
    context: list[int] = []
    prefix = options.prefix if request.first else None
    if options.hotwords and not prefix:
        context += tokenizer.encode(" " + options.hotwords.strip())[:_PROMPT_TOKENS]
    history: list[int] = []
    if options.initial_prompt:
        history += tokenizer.encode(" " + options.initial_prompt.strip())
    history += [token for token in request.previous if token < tokenizer.end_of_text]
    if history:
        # The newest words matter most, and hotwords were asked for by name: the oldest text gives way.
        context += history[-(_PROMPT_TOKENS - len(context)) :] if len(context) < _PROMPT_TOKENS else []
    tokens = [tokenizer.start_of_previous, *context] if context else []
    start = len(tokens)
    tokens += tokenizer.start_sequence(request.language, request.task)
    if options.without_timestamps:
        tokens.append(tokenizer.no_timestamps)
    opening = 0
    if prefix:
        opened = tokenizer.encode(" " + prefix.strip())[: _PROMPT_TOKENS // 2]
        if not options.without_timestamps:
            opened.insert(0, tokenizer.first_timestamp)
        tokens += opened
        opening = len(opened)
    return Prompt(tuple(tokens), start, opening)
