"""Which parts of a recording are speech: the rule of silero-vad's ``get_speech_timestamps``, as a stream.

Speech begins with a frame at or over ``threshold`` and ends before a silence (frames under ``neg_threshold``)
of at least ``min_silence_duration_ms``. Speech longer than ``max_speech_duration_s`` is cut at its last
silence of more than 98 ms, or where it stands if it has none. Parts shorter than ``min_speech_duration_ms``
are dropped. Each part is widened by ``speech_pad_ms`` at both ends; two parts with less than twice that
between them meet in the middle.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from scriba.audio.vad import FRAME, SpeechProbability
from scriba.domain.media import SAMPLE_RATE
from scriba.domain.options import VadOptions

SPLIT_SILENCE = SAMPLE_RATE * 98 // 1000
"""Samples of silence worth cutting overlong speech at."""


@dataclass(frozen=True, slots=True)
class SpeechRegion:
    """Speech from sample ``start`` to before ``end`` at 16 kHz, padding included.

    ``frames`` are the probabilities of its frames of 512 samples without the padding, the first of them at
    sample ``heard_from``; ``probability`` is their mean.
    """

    start: int
    end: int
    probability: float
    heard_from: int
    frames: tuple[float, ...]


class SpeechDetector:
    """Speech regions of one recording, each as soon as nothing that follows can change it."""

    def __init__(self, options: VadOptions | None = None) -> None:
        options = options or VadOptions()
        self._probability = SpeechProbability()
        self._threshold = options.threshold
        self._neg_threshold = (
            max(options.threshold - 0.15, 0.01) if options.neg_threshold is None else options.neg_threshold
        )
        self._min_speech = SAMPLE_RATE * options.min_speech_duration_ms / 1000
        self._min_silence = SAMPLE_RATE * options.min_silence_duration_ms / 1000
        self._pad = SAMPLE_RATE * options.speech_pad_ms // 1000
        self._max_speech = SAMPLE_RATE * options.max_speech_duration_s - FRAME - 2 * self._pad
        self._received = 0
        self._position = 0  # of the frame being looked at
        self._start: int | None = None  # of the speech being heard
        self._probabilities: list[float] = []  # of its frames
        self._silence_from = 0  # possible end of that speech; 0 while it is being heard
        self._split_end = self._split_start = 0  # where to cut it should it grow too long
        self._waiting: SpeechRegion | None = None  # its start is padded; its end waits for what follows
        self._last_end: int | None = None  # of the last region, without padding

    @property
    def earliest_pending(self) -> int:
        """No region still to be returned starts before this sample: earlier audio is not needed any more."""
        if self._waiting is not None:
            return self._waiting.start
        return max(0, (self._position if self._start is None else self._start) - self._pad)

    def push(self, block: NDArray[np.float32]) -> list[SpeechRegion]:
        """16 kHz mono float32 audio of any length in; the regions that are now certain, in order."""
        self._received += len(block)
        return self._listen(self._probability.push(block))

    def finish(self) -> list[SpeechRegion]:
        """The end of the recording: the regions that are left. Nothing may be pushed afterwards."""
        regions = self._listen(self._probability.flush())
        if self._start is not None and self._received - self._start > self._min_speech:
            regions += self._close(self._received)
        regions += self._release(self._pad)
        self._forget()
        return regions

    def _listen(self, probabilities: NDArray[np.float32]) -> list[SpeechRegion]:
        regions: list[SpeechRegion] = []
        for probability in probabilities.tolist():
            regions += self._hear(probability)
            self._position += FRAME
            regions += self._settle()
        return regions

    def _hear(self, probability: float) -> list[SpeechRegion]:
        """One frame, at ``self._position``; the regions that became certain through a new one's start."""
        now = self._position
        speech = probability >= self._threshold
        if self._start is None:
            if speech:
                self._begin(now)
                self._probabilities.append(probability)
            return []
        if speech and self._silence_from:
            self._silence_from = 0
            if self._split_start < self._split_end:
                self._split_start = now
        regions: list[SpeechRegion] = []
        if now - self._start > self._max_speech:
            if not self._split_end:
                return self._close(now)
            regions, resumed = self._split()
            if not resumed:
                return regions
        self._probabilities.append(probability)
        if probability < self._neg_threshold:
            regions += self._hear_silence(now)
        return regions

    def _hear_silence(self, now: int) -> list[SpeechRegion]:
        if not self._silence_from:
            self._silence_from = now
        lasted = now - self._silence_from
        if lasted > SPLIT_SILENCE:
            self._split_end = self._silence_from
        if lasted < self._min_silence:
            return []
        end = self._silence_from
        if self._start is not None and end - self._start > self._min_speech:
            return self._close(end)
        self._forget()
        return []

    def _split(self) -> tuple[list[SpeechRegion], bool]:
        """Cut overlong speech at its last silence; whether speech has come again since."""
        assert self._start is not None  # noqa: S101
        resume, resumed = self._split_start, self._split_start >= self._split_end
        heard = self._probabilities[(resume - self._start) // FRAME :]
        regions = self._close(self._split_end)
        if resumed:
            self._begin(resume)
            self._probabilities = heard
        return regions, resumed

    def _begin(self, start: int) -> None:
        self._forget()
        self._start = start

    def _forget(self) -> None:
        self._start = None
        self._probabilities = []
        self._silence_from = self._split_end = self._split_start = 0

    def _close(self, end: int) -> list[SpeechRegion]:
        """The speech being heard ended there: it waits for what follows, and settles what waited."""
        assert self._start is not None  # noqa: S101
        start, lead = self._start, self._lead(self._start)
        heard = self._probabilities[: max(1, -(-(end - start) // FRAME))]
        regions = self._release(lead)
        mean = float(np.mean(heard))
        self._waiting = SpeechRegion(max(0, start - lead), end, mean, start, tuple(heard))
        self._last_end = end
        self._forget()
        return regions

    def _lead(self, start: int) -> int:
        """Padding before speech that starts there, and after the speech before it."""
        if self._last_end is None or start - self._last_end >= 2 * self._pad:
            return self._pad
        return (start - self._last_end) // 2

    def _release(self, padding: int) -> list[SpeechRegion]:
        """The waiting region with its end padded."""
        waiting, self._waiting = self._waiting, None
        if waiting is None:
            return []
        return [replace(waiting, end=min(self._received, waiting.end + padding))]

    def _settle(self) -> list[SpeechRegion]:
        """Release the waiting region as soon as the padding of its end is certain."""
        if self._waiting is None:
            return []
        if self._start is None:
            certain = self._position - self._waiting.end >= 2 * self._pad
            return self._release(self._pad) if certain else []
        too_far = self._start - self._waiting.end >= 2 * self._pad
        long_enough = not self._silence_from and self._position - FRAME - self._start > self._min_speech
        return self._release(self._lead(self._start)) if too_far or long_enough else []


def detect_speech(
    audio: NDArray[np.float32] | Iterable[NDArray[np.float32]], options: VadOptions | None = None
) -> list[SpeechRegion]:
    """All speech regions of 16 kHz mono float32 audio, given whole or as blocks."""
    detector = SpeechDetector(options)
    blocks = [audio] if isinstance(audio, np.ndarray) else audio
    regions = [region for block in blocks for region in detector.push(block)]
    return regions + detector.finish()
