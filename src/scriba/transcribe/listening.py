"""One window heard to its end: decoded, and decoded again from where the model stopped too early."""

from __future__ import annotations

from dataclasses import dataclass, replace

from scriba.domain.media import SAMPLE_RATE
from scriba.domain.options import TranscribeOptions
from scriba.domain.transcript import SPACELESS_LANGUAGES
from scriba.engine.port import AlignedWord, Decoded, DecodeRequest, Encoded, Phrase
from scriba.engine.steps import Align, Decode, Encode, Flow
from scriba.transcribe.fallback import decode_verified, is_silence
from scriba.transcribe.sentences import merge_punctuation, needs_words
from scriba.transcribe.text import normalise
from scriba.transcribe.windows import LEAST_MISSED, Window

_LEAST_LEFT = 0.4
"""Seconds of speech below which the rest of a window is not worth another pass."""
_SURELY_VOICED, _LEAST_GONE_ON = 0.5, 1.0
"""A text ends no more than so many seconds before the last frame of so much probability of speech."""
_LONG = 15.0
"""Seconds of sound from which a window of a longer recording is given all of the encoder's context."""
_MAX_PASSES = 12
_MAX_GAPS = 3
"""Missed stretches of a window that are heard again; more of them mean that voice activity is mistaken."""
_CONVINCING_LOGPROB = -0.7
SLOWEST, SLOWEST_SPACELESS = 10.0, 3.5
"""Characters a second of voice below which words may be missing."""
_MARGIN = 0.25
"""Seconds of sound kept around a missed stretch."""


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
    window: Window,
    encoded: Encoded | None,
    language: str,
    options: TranscribeOptions,
    previous: tuple[int, ...],
    *,
    word_times: bool,
) -> Flow[list[Pass]]:
    """Decode a window until its speech is accounted for.

    Args:
        encoded: the window's encoding, if there is one already.
        word_times: whether the engine can align.
    """
    listener = _Listener(window, language, options, word_times=word_times)
    if encoded is None:
        encoded = yield encode_window(window)
    passes = yield from listener.hear_through(encoded, previous)
    return (yield from listener.recover_missed(passes))


def encode_window(window: Window) -> Encode:
    """How a whole window is encoded: a long one of many over all of the context. Little would be spared, and
    windows of one length are decoded in one batch."""
    return Encode(window.audio, full=window.index > 0 and window.seconds > _LONG)


class _Listener:
    """One window and how to hear it."""

    def __init__(
        self, window: Window, language: str, options: TranscribeOptions, *, word_times: bool
    ) -> None:
        self._window = window
        self._language = language
        self._options = options
        self._word_times = word_times

    def hear_through(self, encoded: Encoded, previous: tuple[int, ...]) -> Flow[list[Pass]]:
        """Pass after pass, each from where the model stopped before."""
        passes: list[Pass] = []
        offset = 0.0
        while True:
            first = self._window.index == 0 and not passes
            heard = yield from self._hear(encoded, offset, previous, first=first)
            passes.append(heard)
            if heard.silent or heard.decoded.consumed >= encoded.seconds or len(passes) == _MAX_PASSES:
                return passes
            heard_to = offset + _heard_to(heard, offset, encoded.seconds)
            if heard_to <= offset or self._window.speech_after(heard_to) < _LEAST_LEFT:
                return passes
            offset = heard_to
            encoded = yield self._encode(offset, self._window.seconds)
            if self._options.decoding.condition_on_previous_text:
                previous += tuple(token for own in heard.phrases for token in own.phrase.tokens)

    def recover_missed(self, passes: list[Pass]) -> Flow[list[Pass]]:
        """Hear again what voice activity calls speech and no phrase covers; keep it if it convinces."""
        if any(heard.silent for heard in passes):
            return passes
        covered = [span for heard in passes for phrase in heard.phrases for span in spans(phrase)]
        gaps = self._window.uncovered(covered)
        if len(gaps) > _MAX_GAPS:
            return passes
        said = " ".join(phrase.phrase.text for heard in passes for phrase in heard.phrases)
        for start, end in gaps:
            offset = max(0.0, start - _MARGIN)
            encoded = yield self._encode(offset, min(self._window.seconds, end + _MARGIN))
            heard = yield from self._hear(encoded, offset, (), first=False, once=True)
            if _is_convincing(heard, said):
                passes.append(heard)
        return passes

    def _encode(self, start: float, end: float, *, full: bool = False) -> Encode:
        samples = slice(round(start * SAMPLE_RATE), round(end * SAMPLE_RATE))
        return Encode(self._window.audio[samples], full)

    def _hear(
        self,
        encoded: Encoded,
        offset: float,
        previous: tuple[int, ...],
        *,
        first: bool,
        once: bool = False,
    ) -> Flow[Pass]:
        """One pass; ``once`` where only a text that convinces at once is of use: no other temperatures."""
        request = DecodeRequest(
            language=self._language,
            task=self._options.task,
            options=self._options.decoding,
            temperature=0.0,
            previous=previous,
            first=first,
            words=self._word_times,
            spoken_until=0.0 if once else self._spoken_until(offset),
        )
        if once:
            decoded: Decoded = yield Decode(encoded, replace(request, temperature=0.0))
        else:
            whole = self._encode(offset, offset + encoded.seconds, full=True)
            encoded, decoded = yield from decode_verified(encoded, request, whole)
        phrases = [HeardPhrase(phrase, None) for phrase in decoded.phrases]
        if phrases and self._word_times and self._wants_words(encoded, decoded, offset):
            aligned: list[list[AlignedWord]] = yield Align(
                encoded, decoded.phrases, self._language, self._options.task
            )
            phrases = [
                HeardPhrase(phrase, tuple(self._merged(words)))
                for phrase, words in zip(decoded.phrases, aligned, strict=True)
            ]
        return Pass(
            offset,
            decoded,
            tuple(_shift(heard, offset) for heard in phrases),
            is_silence(decoded, self._options.decoding),
        )

    def _spoken_until(self, offset: float) -> float:
        voiced = self._window.voiced_frames(_SURELY_VOICED)
        return max(0.0, voiced[-1] - offset - _LEAST_GONE_ON) if voiced else 0.0

    def _merged(self, words: list[AlignedWord]) -> list[AlignedWord]:
        decoding = self._options.decoding
        return merge_punctuation(
            words,
            self._language,
            prepended=decoding.prepend_punctuations,
            appended=decoding.append_punctuations,
        )

    def _wants_words(self, encoded: Encoded, decoded: Decoded, offset: float) -> bool:
        """Word times cost a pass of the decoder: only where they are asked for or something hangs on them."""
        if self._options.words or decoded.consumed < encoded.seconds:
            return True
        if self._options.decoding.hallucination_silence_threshold is not None:
            return True
        return any(
            needs_words(phrase, self._language)
            or self._window.crosses_cut(offset + phrase.start, offset + phrase.end)
            or self._is_sparse(phrase, offset)
            for phrase in decoded.phrases
        )

    def _is_sparse(self, phrase: Phrase, offset: float) -> bool:
        """So little text for so much voice that words may be missing from it."""
        voiced = self._window.voiced_seconds(offset + phrase.start, offset + phrase.end)
        slow = SLOWEST_SPACELESS if self._language in SPACELESS_LANGUAGES else SLOWEST
        return voiced > LEAST_MISSED and len(phrase.text.strip()) < voiced * slow


def spans(heard: HeardPhrase) -> list[tuple[float, float]]:
    """Seconds of the window that a phrase accounts for: its words', where they are known."""
    if heard.words:
        return [(word.start, word.end) for word in heard.words]
    return [(heard.phrase.start, heard.phrase.end)]


def _heard_to(heard: Pass, offset: float, seconds: float) -> float:
    """Seconds from the pass's start up to which everything is accounted for."""
    if not heard.phrases or not heard.phrases[-1].words:
        return heard.decoded.consumed
    # The timestamp at which the model stopped may lie before words that it has already written: going on from
    # there would hear them twice. Attention knows better.
    end = max(word.end for word in heard.phrases[-1].words) - offset
    return max(heard.decoded.consumed, end) if end < seconds else heard.decoded.consumed


def _is_convincing(heard: Pass, said: str) -> bool:
    """A second hearing counts only if nothing speaks against it, least of all that it is an echo."""
    decoded = heard.decoded
    text = normalise(" ".join(phrase.phrase.text for phrase in heard.phrases))
    return (
        bool(text)
        and not heard.silent
        and decoded.avg_logprob > _CONVINCING_LOGPROB
        and decoded.no_speech_prob < 0.5
        and decoded.compression_ratio < 2.0
        and text not in normalise(said)
    )


def _shift(heard: HeardPhrase, offset: float) -> HeardPhrase:
    if offset == 0.0:
        return heard
    phrase = heard.phrase
    words = heard.words and tuple(
        AlignedWord(w.start + offset, w.end + offset, w.text, w.probability, w.tokens) for w in heard.words
    )
    return HeardPhrase(Phrase(phrase.start + offset, phrase.end + offset, phrase.text, phrase.tokens), words)
