"""How much context the encoder is given: enough for the speech, not always 30 s.

Whisper was trained on windows of 30 s and pays for all of them, so three seconds of speech cost as much to
encode as thirty. Fed with less, the encoder is as much faster as its input is shorter, and the decoder's
cross attention has fewer positions to read. But a decoder that has never seen its input end early runs away:
it repeats itself past the end of the sound. Two measures together keep that from happening
(docs/context.md has the numbers):

* **8 s of silence or more** are encoded behind the speech. Of 133 clips, tiny.en ran away on 34 with 1 s of
  it, 16 with 2 s, 8 with 4 s, 4 with 6 s and 1 with 8 s, as with the full window. Rounded up to steps of 5 s
  tiny, tiny.en and small err less than with exactly 8 s, base now less, now more.
* **Verify**: a result that looks wrong is thrown away, and the window is decoded again with its full context.
  That happens to at most 7 clips in a hundred.

Not all of that silence need be encoded each time: with tiny.en, 2 s of it do, and a cached encoding of
silence stands for the rest (``engine.silence``). The others hear the seam, and are given all of it anew.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from scriba.engine.port import WINDOW_SECONDS, Decoded

FRAMES_PER_SECOND = 100
FULL_FRAMES = round(WINDOW_SECONDS * FRAMES_PER_SECOND)
"""Frames of a log-mel spectrogram of 30 s; the encoder makes one position of two frames."""

PADDING_SECONDS = 8.0
"""Least silence encoded behind the speech."""
BASE_PADDING_SECONDS = 12.0
"""The same for base, which loses 0.4 points with 8 s and nothing with 12."""
STEP_SECONDS = 5.0
"""Contexts are multiples of this, so that windows of about the same length can be decoded together: 2 s of
sound get 10 s, 7 s get 15, 12 s get 20, 17 s get 25, and more gets all 30."""
SEAM_SECONDS = 2.0
"""Least silence encoded with the speech where cached silence follows."""
_SEAM_UP_TO_SECONDS = 22.0
"""Longest sound behind which silence is cached. Of longer ones little would be spared, and one in four
stopped early and was encoded and decoded all over: with all 30 s it is gone on from where it stopped."""
_SEAM_STEP = 1.0
"""What is encoded is a multiple of this: an encoder is prepared for each length it meets."""

_TOKENS_AT_LEAST = 10
_TOKENS_A_SECOND = 8.0
"""More tokens, timestamps among them, than people say in a second: in ten languages at most 6, and 5 more."""
_AFTER_THE_END = 0.1
"""Seconds before the end of the sound from which no phrase can begin."""
_UNHEARD_SECONDS = 0.5
"""Sound left over when a pass ends in the middle: with little context that happens five times as often."""
_REPETITIVE = 2.4
_IMPROBABLE = -1.0


class ContextMode(StrEnum):
    """``full``: always 30 s. ``fit``: as much as the speech needs."""

    FULL = "full"
    FIT = "fit"


@dataclass(frozen=True, slots=True)
class ContextPolicy:
    """How many frames of a window the encoder is given. Times are seconds; ``step`` 0 rounds nothing up.

    ``seam`` is how much of the silence behind the sound is encoded with it, None for all.
    """

    mode: ContextMode = ContextMode.FIT
    padding: float = PADDING_SECONDS
    step: float = STEP_SECONDS
    seam: float | None = None

    @classmethod
    def for_model(cls, model: str) -> ContextPolicy:
        """By measurement (docs/context.md): the tiny models lose nothing with 8 s of silence and base nothing
        with 12; larger ones get all 30 s unless somebody decides otherwise. Only tiny.en does not hear the
        seam."""
        if model == "base":
            return cls(ContextMode.FIT, padding=BASE_PADDING_SECONDS)
        if model.split(".")[0] != "tiny":
            return cls(ContextMode.FULL)
        return cls(ContextMode.FIT, seam=SEAM_SECONDS if model == "tiny.en" else None)

    def __post_init__(self) -> None:
        for name in ("padding", "step", "seam"):
            value = getattr(self, name)
            if value is None:
                continue
            if not 0.0 <= value <= WINDOW_SECONDS:  # also false for NaN
                raise ValueError(f"{name} must be between 0 and {WINDOW_SECONDS:g} s, not {value!r}.")

    def frames_for(self, seconds: float) -> int:
        """Frames of the context of a window with so many seconds of sound: whole positions, at most 3000.

        Pass the encoder the first columns of the window's whole spectrogram: its normalisation stays that
        of 30 s.
        """
        if self.mode is ContextMode.FULL:
            return FULL_FRAMES
        wanted = seconds + self.padding
        if self.step > 0.0:
            # Sample counts are whole, but their quotients are not: 2.0000001 s must not cost a step.
            wanted = math.ceil(wanted / self.step - 1e-6) * self.step
        return min(FULL_FRAMES, _whole_positions(wanted))

    def encoded_frames(self, seconds: float) -> int:
        """How many of ``frames_for`` are encoded; behind them comes cached silence."""
        frames = self.frames_for(seconds)
        if self.seam is None or self.mode is ContextMode.FULL or seconds > _SEAM_UP_TO_SECONDS:
            return frames
        wanted = math.ceil((seconds + self.seam) / _SEAM_STEP - 1e-6) * _SEAM_STEP
        return min(frames, _whole_positions(wanted))

    def is_full(self, seconds: float) -> bool:
        """True when so much sound is encoded with all of the 30 s that the model was trained on: there is
        nothing to verify."""
        return self.encoded_frames(seconds) == FULL_FRAMES


def _whole_positions(seconds: float) -> int:
    return 2 * math.ceil(seconds * FRAMES_PER_SECOND / 2 - 1e-6)


def most_tokens(seconds: float) -> int:
    """More tokens than can be said in so many seconds: where a pass over a short context may be stopped.

    A runaway then costs tens of tokens instead of 224. A pass that was stopped here always ``looks_wrong``.
    """
    return math.ceil(_TOKENS_AT_LEAST + _TOKENS_A_SECOND * seconds) + 1


def looks_wrong(decoded: Decoded, seconds: float, *, tokens: int | None = None) -> bool:
    """Whether a pass over a short context should be thrown away and done again with the full one.

    True when the text repeats itself, is improbable, has more tokens than can be said in the time, stops
    before the sound does, or when a phrase begins where the sound has already ended. The last is the surest
    sign: hardly ever seen on a result that was right. The thresholds are fixed, not the request's: they judge
    the context, not the speech.

    A pass that the request's own options hold for silence needs no second opinion: ask for that first. The
    full context would only put more words into noise.

    Args:
        seconds: sound in the window, before padding.
        tokens: how many tokens the pass generated. Without it those of the phrases are counted, which lack
            a tail that was cut off.
    """
    count = sum(len(phrase.tokens) for phrase in decoded.phrases) if tokens is None else tokens
    return (
        decoded.compression_ratio > _REPETITIVE
        or decoded.avg_logprob < _IMPROBABLE
        or count > _TOKENS_AT_LEAST + _TOKENS_A_SECOND * seconds
        or decoded.consumed < seconds - _UNHEARD_SECONDS
        or any(phrase.start >= seconds - _AFTER_THE_END > 0.0 for phrase in decoded.phrases)
    )
