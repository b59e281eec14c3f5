"""The audio that is being listened to, and the words in it that are settled."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from scriba.domain.media import SAMPLE_RATE
from scriba.engine.port import AlignedWord, Audio
from scriba.live.ring import AudioRing
from scriba.live.snapshot import read_words, written_words
from scriba.transcribe.sentences import ends_sentence

MAX_PROMPT_TOKENS = 64


@dataclass(slots=True)
class ListeningWindow:
    """``start`` is a sample of the session; ``words`` are the settled ones, timed from its beginning."""

    audio: AudioRing = field(default_factory=AudioRing)
    start: int = 0
    words: list[AlignedWord] = field(default_factory=list)
    prompt: tuple[int, ...] = ()
    """Tokens of what was said before the window, while that helps."""

    def seconds_until(self, sample: int) -> float:
        return (sample - self.start) / SAMPLE_RATE

    def sound(self, start: int, end: int) -> Audio:
        return self.audio.slice(start, end)

    def relative_words(self) -> tuple[AlignedWord, ...]:
        """The settled words, with times from the window's start."""
        return tuple(shifted(word, -self.start / SAMPLE_RATE) for word in self.words)

    def begin(self, sample: int) -> None:
        """Leave everything before ``sample`` behind."""
        self._forget(len(self.words), sample)

    def trim(self, longest: float, least: float, end: int, language: str) -> bool:
        """When more than ``longest`` seconds are heard again and again, leave the beginning behind.

        At least ``least`` seconds stay, since words are heard worse without sound before them. The cut is
        behind a settled sentence, or else at the longest gap between settled words. True when there was one.
        """
        if self.seconds_until(end) <= longest:
            return False
        latest = end / SAMPLE_RATE - least
        cuts = [at for at in range(1, len(self.words)) if self.words[at].start <= latest]
        if not cuts:
            return False
        behind = [at for at in cuts if ends_sentence(self.words[at - 1].text.strip(), language)]
        second_half = cuts[len(cuts) // 2 :]
        cut = behind[-1] if behind else max(second_half, key=self._gap)
        self._forget(cut, self._between(cut, end))
        return True

    def state(self) -> dict[str, Any]:
        """As JSON, the audio apart."""
        return {"start": self.start, "words": written_words(self.words), "prompt": list(self.prompt)}

    def restore(self, state: dict[str, Any], earliest: int) -> None:
        """``earliest``: a sample from which audio is needed, if it lies before the window."""
        self.start = state["start"]
        self.audio = AudioRing(min(self.start, earliest))
        self.words = list(read_words(state["words"]))
        self.prompt = tuple(state["prompt"])

    def _gap(self, at: int) -> float:
        return self.words[at].start - self.words[at - 1].end

    def _between(self, cut: int, end: int) -> int:
        """The sample at which the window may begin when ``cut`` words are left behind."""
        before, after = self.words[cut - 1].end, self.words[cut].start
        seconds = before + (max(after, before) - before) / 2
        return max(self.start, min(round(seconds * SAMPLE_RATE), end))

    def _forget(self, count: int, sample: int) -> None:
        gone = [token for word in self.words[:count] for token in word.tokens]
        self.prompt = (self.prompt + tuple(gone))[-MAX_PROMPT_TOKENS:]
        del self.words[:count]
        self.start = sample
        self.audio.discard_before(sample)


def shifted(word: AlignedWord, seconds: float) -> AlignedWord:
    return replace(word, start=word.start + seconds, end=word.end + seconds)
