"""The audio that is being listened to, and the words in it that are settled."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from scriba.domain.media import SAMPLE_RATE
from scriba.engine.port import AlignedWord, Audio
from scriba.live.ring import AudioRing
from scriba.transcribe.sentences import ends_sentence

MAX_PREFIX_TOKENS = 100
"""Settled words given to the decoder as the beginning of its answer: no more fit (``engine``'s prompt)."""
MAX_PROMPT_TOKENS = 64


@dataclass(slots=True)
class ListeningWindow:
    """``start`` is a sample of the session. Times of ``words`` are seconds of the session.

    The first ``final`` of the words belong to segments that are complete.
    """

    audio: AudioRing = field(default_factory=AudioRing)
    start: int = 0
    words: list[AlignedWord] = field(default_factory=list)
    final: int = 0
    prompt: tuple[int, ...] = ()
    """Tokens of what was said before the window, while that helps."""

    def seconds_until(self, sample: int) -> float:
        return (sample - self.start) / SAMPLE_RATE

    def sound(self, end: int) -> Audio:
        return self.audio.slice(self.start, end)

    def relative_words(self) -> tuple[AlignedWord, ...]:
        """The settled words, with times from the window's start."""
        return tuple(shifted(word, -self.start / SAMPLE_RATE) for word in self.words)

    @property
    def prefix_tokens(self) -> int:
        return sum(len(word.tokens) for word in self.words)

    def begin(self, sample: int) -> None:
        """Leave everything before ``sample`` behind."""
        self._forget(len(self.words), sample)

    def trim(self, keep: float, end: int, language: str) -> bool:
        """Leave settled sentences behind, so that at most about ``keep`` seconds are heard again.

        The cut is behind a settled sentence; where there is none in the first two thirds of a window that is
        much too long, at the longest gap between settled words. True when something was cut.
        """
        seconds = self.seconds_until(end)
        if seconds <= keep and self.prefix_tokens <= MAX_PREFIX_TOKENS:
            return False
        cuts = [
            index + 1
            for index, word in enumerate(self.words)
            if index + 1 <= self.final and ends_sentence(word.text.strip(), language)
        ]
        if (
            not cuts
            and (seconds > 2 * keep or self.prefix_tokens > MAX_PREFIX_TOKENS)
            and len(self.words) > 1
        ):
            gaps = range(1, len(self.words))
            cuts = [max(gaps, key=lambda at: self.words[at].start - self.words[at - 1].end + at * 1e-3)]
        if not cuts:
            return False
        cut = cuts[-1]
        self._forget(cut, self._between(cut, end))
        return True

    def _between(self, cut: int, end: int) -> int:
        """The sample at which the window may begin when ``cut`` words are left behind."""
        before = self.words[cut - 1].end
        after = self.words[cut].start if cut < len(self.words) else before + 0.2
        seconds = before + (max(after, before) - before) / 2
        return max(self.start, min(round(seconds * SAMPLE_RATE), end))

    def _forget(self, count: int, sample: int) -> None:
        gone = [token for word in self.words[:count] for token in word.tokens]
        self.prompt = (self.prompt + tuple(gone))[-MAX_PROMPT_TOKENS:]
        del self.words[:count]
        self.final = max(0, self.final - count)
        self.start = sample
        self.audio.discard_before(sample)


def shifted(word: AlignedWord, seconds: float) -> AlignedWord:
    return replace(word, start=word.start + seconds, end=word.end + seconds)
