"""Cutting decoded tokens into phrases at its timestamp tokens (openai/whisper ``transcribe.py``)."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from scriba.engine.port import Decoded, Phrase
from scriba.engine.tokenizer import WhisperTokenizer


def decoded_text(
    tokenizer: WhisperTokenizer,
    tokens: Sequence[int],
    seconds: float,
    *,
    temperature: float,
    avg_logprob: float,
    no_speech_prob: float,
) -> Decoded:
    """What a pass that wrote ``tokens`` over a window of ``seconds`` has heard."""
    phrases, consumed = split_phrases(tokenizer, tokens, seconds)
    return Decoded(
        phrases=phrases,
        consumed=consumed,
        temperature=temperature,
        avg_logprob=avg_logprob,
        compression_ratio=compression_ratio(tokenizer.decode(tokens).strip()),
        no_speech_prob=no_speech_prob,
    )


def compression_ratio(text: str) -> float:
    """Bytes over compressed bytes: above 2.4 the text repeats itself (openai/whisper)."""
    data = text.encode()
    return len(data) / len(zlib.compress(data))


def split_phrases(
    tokenizer: WhisperTokenizer, tokens: Sequence[int], seconds: float
) -> tuple[tuple[Phrase, ...], float]:
    """Phrases between timestamps, and how many seconds of the window they account for.

    Whisper writes ``<start> text <end>`` for each phrase. A sequence that ends in one timestamp says that
    nothing follows; one that ends in two, or in text, stopped in the middle: its last complete phrase tells
    from where to go on.

    Args:
        seconds: sound in the window, before padding. No phrase ends later.
    """
    stamps = [index for index, token in enumerate(tokens) if tokenizer.is_timestamp(token)]
    pairs = [index for index in stamps if index > 0 and tokenizer.is_timestamp(tokens[index - 1])]
    ends_in_one = (
        len(tokens) >= 2 and tokenizer.is_timestamp(tokens[-1]) and not tokenizer.is_timestamp(tokens[-2])
    )

    if not pairs:
        start = tokenizer.seconds(tokens[stamps[0]]) if stamps and stamps[0] == 0 else 0.0
        last = tokenizer.seconds(tokens[stamps[-1]]) if stamps else 0.0
        end = min(last, seconds) if last > start else seconds
        phrase = _phrase(tokenizer, tokens, start, end, seconds)
        return ((phrase,) if phrase else ()), seconds

    cuts = [*pairs, len(tokens)] if ends_in_one else pairs
    phrases: list[Phrase] = []
    begin = 0
    for cut in cuts:
        piece = tokens[begin:cut]
        start = tokenizer.seconds(piece[0]) if tokenizer.is_timestamp(piece[0]) else 0.0
        end = tokenizer.seconds(piece[-1]) if tokenizer.is_timestamp(piece[-1]) else start
        phrase = _phrase(tokenizer, piece, start, end, seconds)
        if phrase:
            phrases.append(phrase)
        begin = cut
    if ends_in_one:
        return tuple(phrases), seconds
    consumed = tokenizer.seconds(tokens[cuts[-1] - 1])
    # No progress would decode the same window for ever.
    return tuple(phrases), min(consumed, seconds) if consumed > 0 else seconds


def _phrase(
    tokenizer: WhisperTokenizer, tokens: Sequence[int], start: float, end: float, seconds: float
) -> Phrase | None:
    text = tokenizer.decode(tokens)
    if not text.strip():
        return None
    start = min(start, seconds)
    return Phrase(start=start, end=max(start, min(end, seconds)), text=text, tokens=tuple(tokens))
