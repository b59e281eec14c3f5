"""One window of a stream, heard from its start: the words that stand behind the settled ones.

The decoder hears the settled part again and is free to write it otherwise; only what follows is taken
(``joining``). Told to begin with the settled words it would have to go on from its own mistakes, and
that costs words (docs/live.md).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from scriba.domain.options import DecodingOptions
from scriba.domain.transcript import Task
from scriba.engine.port import AlignedWord, Audio, Decoded, DecodeRequest, Encoded, LanguageGuess, Phrase
from scriba.engine.steps import Align, Decode, DetectLanguage, Encode, Flow
from scriba.live.joining import behind
from scriba.transcribe.fallback import decode_verified
from scriba.transcribe.sentences import merge_punctuation

LanguageChooser = Callable[[LanguageGuess | None], str]
"""Which language to decode in, by what the model takes it for."""


@dataclass(frozen=True, slots=True)
class HearingRequest:
    """A window and what is known of it. Times of ``settled`` are seconds from the window's start."""

    audio: Audio
    settled: tuple[AlignedWord, ...]
    previous: tuple[int, ...]
    language: str | None
    """None: it must be found out first, by ``choose``."""
    task: Task
    options: DecodingOptions
    detect: bool
    last: bool
    """The utterance ends with this window: more freedom where the text looks wrong."""
    draft: tuple[int, ...] = ()
    """Tokens that the text is expected to have, most of them from the hearing before."""
    short: bool = False
    """Spare the encoder the silence behind the sound (``Engine.encode``)."""


@dataclass(frozen=True, slots=True)
class Hearing:
    """The words behind the settled ones, with times in seconds from the window's start."""

    words: tuple[AlignedWord, ...]
    decoded: Decoded
    language: str
    guess: LanguageGuess | None
    seconds: float


def hear(request: HearingRequest, choose: LanguageChooser) -> Flow[Hearing]:
    """Encode, detect the language where that is open, decode and align."""
    encoded: Encoded = yield Encode(request.audio, short=request.short)
    guess: LanguageGuess | None = None
    if request.detect:
        guess = yield DetectLanguage(encoded)
    language = request.language if request.language is not None else choose(guess)
    decoding = DecodeRequest(
        language, request.task, request.options, 0.0, request.previous, words=True, draft=request.draft
    )
    decoded: Decoded
    if request.last:
        whole = Encode(request.audio, full=True)
        encoded, decoded = yield from decode_verified(encoded, decoding, whole)
    else:
        decoded = yield Decode(encoded, decoding)
    words = yield from _align(encoded, request, decoded, language)
    return Hearing(words, decoded, language, guess, encoded.seconds)


def _align(
    encoded: Encoded, request: HearingRequest, decoded: Decoded, language: str
) -> Flow[tuple[AlignedWord, ...]]:
    text = "".join(phrase.text for phrase in decoded.phrases)
    if not text.strip():
        return ()
    whole = Phrase(
        decoded.phrases[0].start,
        decoded.phrases[-1].end,
        text,
        tuple(token for phrase in decoded.phrases for token in phrase.tokens),
    )
    [aligned] = yield Align(encoded, [whole], language, request.task)
    words = merge_punctuation(aligned, language)
    return tuple(words[behind(words, request.settled) :])
