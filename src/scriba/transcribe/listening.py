"""One window heard to its end: decoded, and decoded again from where the model stopped too early."""

from __future__ import annotations

from dataclasses import dataclass

from scriba.domain.cancel import CancelToken
from scriba.domain.media import SAMPLE_RATE
from scriba.domain.options import TranscribeOptions
from scriba.engine.port import AlignedWord, Decoded, DecodeRequest, Encoded, Engine, Phrase
from scriba.transcribe.fallback import decode_with_fallback, is_silence
from scriba.transcribe.sentences import merge_punctuation, needs_words
from scriba.transcribe.windows import Window

_LEAST_LEFT = 0.4
"""Seconds of speech below which the rest of a window is not worth another pass."""
_MISSED = 2.0
"""Seconds of speech after the last phrase that make us doubt a model that says it has finished."""
_MAX_PASSES = 12


@dataclass(frozen=True, slots=True)
class HeardPhrase:
    """A phrase with times in seconds from the window's start; ``words`` where they were needed."""

    phrase: Phrase
    words: tuple[AlignedWord, ...] | None


@dataclass(frozen=True, slots=True)
class Pass:
    """One decoding pass; ``offset`` is where in the window it began, in seconds."""

    offset: float
    decoded: Decoded
    phrases: tuple[HeardPhrase, ...]
    silent: bool
    """The model holds that nothing is said here."""


def listen(
    engine: Engine,
    window: Window,
    encoded: Encoded,
    language: str,
    options: TranscribeOptions,
    previous: tuple[int, ...],
    cancel: CancelToken,
) -> list[Pass]:
    """Decode a window until its speech is accounted for.

    Raises:
        CancelledByUserError: between two steps of inference.
    """
    passes: list[Pass] = []
    offset = 0.0
    doubted = False
    while True:
        request = DecodeRequest(
            language=language,
            task=options.task,
            options=options.decoding,
            temperature=0.0,
            previous=previous,
            first=window.index == 0 and not passes,
        )
        decoded = decode_with_fallback(engine, encoded, request, cancel)
        silent = is_silence(decoded, options.decoding)
        stops_early = decoded.consumed < encoded.seconds
        wanted = (
            options.words
            or stops_early
            or any(needs_words(phrase, language) for phrase in decoded.phrases)
            or any(window.crosses_cut(offset + p.start, offset + p.end) for p in decoded.phrases)
        )
        phrases = _with_words(engine, encoded, decoded, language, options, wanted=wanted, cancel=cancel)
        if doubted and (silent or _is_doubtful(decoded)):
            break  # the second opinion is worse than the first: nothing was missed
        passes.append(Pass(offset, decoded, tuple(_shift(heard, offset) for heard in phrases), silent))

        heard_to = offset + _heard_to(decoded, phrases, encoded.seconds, stops_early=stops_early)
        left = window.speech_after(heard_to)
        doubted = not stops_early
        if silent or left < (_MISSED if doubted else _LEAST_LEFT) or len(passes) == _MAX_PASSES:
            break
        if doubted:
            heard_to = max(heard_to, _next_speech(window, heard_to) - 0.2)
        if heard_to <= offset:
            break
        offset = heard_to
        cancel.check()
        encoded = engine.encode(window.audio[round(offset * SAMPLE_RATE) :])
        if options.decoding.condition_on_previous_text:
            previous = previous + tuple(t for heard in phrases for t in heard.phrase.tokens)
    return passes


def _with_words(
    engine: Engine,
    encoded: Encoded,
    decoded: Decoded,
    language: str,
    options: TranscribeOptions,
    *,
    wanted: bool,
    cancel: CancelToken,
) -> list[HeardPhrase]:
    phrases = decoded.phrases
    if not phrases:
        return []
    if not wanted or not engine.capabilities.word_times:
        return [HeardPhrase(phrase, None) for phrase in phrases]
    cancel.check()
    aligned = engine.align(encoded, phrases, language, options.task)
    return [
        HeardPhrase(phrase, tuple(merge_punctuation(words, language)))
        for phrase, words in zip(phrases, aligned, strict=True)
    ]


def _heard_to(decoded: Decoded, phrases: list[HeardPhrase], seconds: float, *, stops_early: bool) -> float:
    """Seconds from the pass's start up to which everything is accounted for."""
    if not phrases:
        return decoded.consumed if stops_early else seconds
    last = phrases[-1]
    if not stops_early:
        return last.phrase.end
    # The timestamp at which the model stopped may lie before words that it has already written: going on from
    # there would hear them twice. Attention knows better.
    end = max((word.end for word in last.words), default=0.0) if last.words else 0.0
    return max(decoded.consumed, end) if end < seconds else decoded.consumed


def _is_doubtful(decoded: Decoded) -> bool:
    return (
        not decoded.phrases
        or decoded.avg_logprob < -0.7
        or decoded.no_speech_prob > 0.5
        or decoded.compression_ratio > 2.0
    )


def _next_speech(window: Window, seconds: float) -> float:
    return next((s.start for s in window.speech if s.end > seconds), seconds)


def _shift(heard: HeardPhrase, offset: float) -> HeardPhrase:
    if offset == 0.0:
        return heard
    phrase = heard.phrase
    words = heard.words and tuple(
        AlignedWord(w.start + offset, w.end + offset, w.text, w.probability, w.tokens) for w in heard.words
    )
    return HeardPhrase(Phrase(phrase.start + offset, phrase.end + offset, phrase.text, phrase.tokens), words)
