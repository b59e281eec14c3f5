"""A stream listened to: what to hear next, and what is made of it. No threads, no clock, no I/O.

Everything is decided by positions in the audio. While the machine keeps up, two runs over the same audio make
the same decisions, however the audio came in and whenever it was interrupted.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from scriba.domain.media import SAMPLE_RATE
from scriba.domain.options import DecodingOptions
from scriba.domain.transcript import Segment, Word
from scriba.engine.port import AlignedWord, Audio, LanguageGuess
from scriba.engine.steps import Flow
from scriba.live import snapshot
from scriba.live.events import (
    Flushed,
    LanguageHeard,
    LiveEvent,
    Partial,
    SegmentFinal,
    Settled,
    SpeechPaused,
    SpeechStarted,
    Withheld,
)
from scriba.live.hearing import Hearing, HearingRequest, LanguageChooser, hear
from scriba.live.judging import judge
from scriba.live.options import LiveOptions
from scriba.live.settle import is_shown, settled_count
from scriba.live.voice import Endpointer, Mark, MarkKind
from scriba.live.window import ListeningWindow, shifted
from scriba.transcribe.languages import LanguageTracker
from scriba.transcribe.sentences import ends_sentence, merge_punctuation, split_sentences

LONGEST_SECONDS = 16.0
"""A window grows to this; then its beginning is left behind."""
CONTEXT_SECONDS = 9.0
"""So much of it stays: with less sound before them words are heard worse (docs/live.md)."""
_MOST_SECONDS = 26.0
_CONTEXT_GAP = 3.0
"""Seconds of silence after which what was said before is no context any more."""
_MARGIN = 0.5
"""Seconds before speech is certain that may belong to it."""
_MISSED = 1.0
"""Seconds of voice behind the last word from which words are taken to be missing."""
_DETECT_FROM = 1.0
"""Seconds of speech from which its language is asked for."""
_HELPFUL = -0.7
"""Mean log probability below which the text before is no help to what follows."""


class Kind(Enum):
    """Why something is heard."""

    TICK = "tick"
    """To say what seems to be said, and settle what is certain."""
    FINAL = "final"
    """The utterance has ended: everything is settled."""


@dataclass(frozen=True, slots=True)
class Work:
    """A window to be heard. ``end`` is the sample at which it ends."""

    kind: Kind
    end: int
    request: HearingRequest
    choose: LanguageChooser

    def flow(self) -> Flow[Hearing]:
        """What is to be done for it; begun anew by each call."""
        return hear(self.request, self.choose)


class Listener:
    """One stream. Call ``hear`` as audio comes; perform ``next_work`` and give its result to ``take``."""

    def __init__(self, options: LiveOptions, languages: frozenset[str]) -> None:
        self.options = options
        self.window = ListeningWindow()
        self.tracker = LanguageTracker(options.language, languages)
        self._voice = Endpointer(options.endpoint)
        self._voice_from = 0
        self._marks_passed = 0
        self._marks_to_drop = 0
        self._flushes = 0
        self._flushes_passed = 0
        self._marks: deque[Mark] = deque()
        self._events: list[LiveEvent] = []
        self._speaking = False
        self._silent = True
        self._start = 0
        self._last_end = 0
        self._tick = 0
        self._heard_to = 0
        self._pause_at: Mark | None = None
        self._again: Mark | None = None
        self._unheard = True
        self._tail: tuple[AlignedWord, ...] = ()
        self._open: list[AlignedWord] = []
        self._segments = 0
        self._language: str | None = None
        self._guesses: list[LanguageGuess] = []
        self._guessed_for = -1
        self._announced: str | None = None
        self._missed_again = 0

    @property
    def received(self) -> int:
        """Samples heard of."""
        return self.window.audio.end

    @property
    def idle(self) -> bool:
        """Nothing is being said, and nothing waits."""
        return not self._speaking and not self._marks

    @property
    def behind(self) -> float:
        """Seconds of audio that ought to have been heard by now and were not."""
        if self._speaking and not self._silent:
            return max(0.0, (self._voice.position - self._tick) / SAMPLE_RATE)
        if self._marks:
            return max(0.0, (self._voice.position - self._marks[0].at) / SAMPLE_RATE)
        return 0.0

    def hear(self, block: Audio) -> None:
        """Audio that has come."""
        known = self._voice.received - self.window.audio.end
        self.window.audio.append(block)
        if known < len(block):
            self._add_marks(self._voice.push(block[max(0, known) :]))
        if self.idle:
            self._rest()

    def end_utterance(self) -> None:
        """The client says that what was said so far is complete (flush, commit, finish)."""
        self._add_marks(self._voice.end_now())
        self._flushes += 1
        if self._flushes > self._flushes_passed:
            self._marks.append(Mark(MarkKind.FLUSH, self._voice.position, self._voice.received))

    def _add_marks(self, marks: list[Mark]) -> None:
        dropped = min(self._marks_to_drop, len(marks))
        self._marks_to_drop -= dropped
        self._marks.extend(marks[dropped:])

    def state(self) -> dict[str, Any]:
        """All that cannot be heard again from the audio, as JSON (``scriba.live.snapshot``)."""
        return snapshot.take(self)

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from there. The audio is to be given again from ``received`` on."""
        snapshot.restore(self, state)

    @property
    def has_events(self) -> bool:
        return bool(self._events)

    def events(self) -> list[LiveEvent]:
        """What happened since the last call, in order."""
        events, self._events = self._events, []
        return events

    def next_work(self, *, hurry: bool = False) -> Work | None:
        """What to hear now; None while there is nothing.

        Args:
            hurry: the machine is full: leave out what later audio will tell better.
        """
        if self._again is not None:
            again, self._again = self._again, None
            work = self._hear_to(Kind.FINAL, again)
            if work is not None:
                return work
        while True:
            mark = self._marks[0] if self._marks else None
            ticking = self._speaking and not self._silent
            if ticking and self._tick <= self._voice.position and (mark is None or self._tick < mark.at):
                bound = self._voice.position if mark is None else mark.at - 1
                at = self._tick
                step = round(self.options.settle.step * SAMPLE_RATE)
                if hurry:
                    at += max(0, (bound - at) // step) * step
                self._tick = at + step
                if self._voice.voiced_seconds(self._start, at) >= self.options.endpoint.shortest:
                    return self._work(Kind.TICK, at)
                continue
            if mark is None:
                return None
            self._marks.popleft()
            if mark.kind is MarkKind.FLUSH:
                self._flushes_passed += 1
                self._events.append(Flushed(round(mark.edge / SAMPLE_RATE, 3)))
                continue
            self._marks_passed += 1
            work = self._pass_mark(mark, hurry=hurry)
            if work is not None:
                return work

    def take(self, work: Work, hearing: Hearing) -> None:
        """What was heard; the events it makes come out of ``events``."""
        self._heard_to = work.end
        words = tuple(shifted(word, self.window.start / SAMPLE_RATE) for word in hearing.words)
        if hearing.guess is not None:
            spoken = (work.end - self._start) / SAMPLE_RATE
            self._heed_language(hearing.guess, spoken, whole=self._silent)
        if work.kind is Kind.TICK:
            self._take_tick(work, hearing, words)
        else:
            self._take_final(work, hearing, words)

    def _pass_mark(self, mark: Mark, *, hurry: bool) -> Work | None:
        match mark.kind:
            case MarkKind.START:
                self._begin(mark)
            case MarkKind.RESUME:
                self._silent = False
                self._unheard = True
                self._tick = mark.edge + round(self.options.settle.step * SAMPLE_RATE)
            case MarkKind.PAUSE:
                self._silent = True
                if hurry and self._marks:  # how it went on is known already
                    self._unheard = True
                    return None
                return self._hear_to(Kind.TICK, mark)
            case MarkKind.END:
                self._silent = True
                work = self._hear_to(Kind.FINAL, mark) if self._pause_at != mark and self._is_open() else None
                if work is not None:
                    self._pause_at = mark
                    self._put_back(mark)
                    return work
                self._end(mark)
        return None

    def _put_back(self, mark: Mark) -> None:
        self._marks.appendleft(mark)
        self._marks_passed -= 1

    def _rest(self) -> None:
        """In silence little of the audio is needed any more, and nothing from before the last fresh start."""
        if self._voice.fresh_from > self._voice_from:
            self._voice_from = self._voice.fresh_from
            self._marks_passed = 0
        rested = self._voice.position - self._last_end
        if rested > (_CONTEXT_GAP + _MARGIN) * SAMPLE_RATE:
            margin = round((self.options.endpoint.padding + _MARGIN) * SAMPLE_RATE)
            self.window.begin(max(self.window.start, self._voice.position - margin))
            self.window.prompt = ()

    def _begin(self, mark: Mark) -> None:
        padding = round(self.options.endpoint.padding * SAMPLE_RATE)
        start = max(mark.edge - padding, self._last_end)
        gap = (mark.edge - self._last_end) / SAMPLE_RATE
        if not self.window.words or gap > _CONTEXT_GAP:
            self.window.begin(start)
        if gap > _CONTEXT_GAP:
            self.window.prompt = ()
        self._speaking, self._silent = True, False
        self._start = mark.edge
        self._tail = ()
        self._missed_again = 0
        self._unheard = True
        self._again = None
        self._tick = mark.edge + round(self.options.settle.first * SAMPLE_RATE)
        self._events.append(SpeechStarted(round(mark.edge / SAMPLE_RATE, 3)))

    def _hear_to(self, kind: Kind, mark: Mark) -> Work | None:
        """Up to a mark; None when there is no voice worth it."""
        if self._voice.voiced_seconds(self._start, mark.at) < self.options.endpoint.shortest:
            return None
        return self._work(kind, mark.at)

    def _is_open(self) -> bool:
        """Something of the utterance may still be unsettled."""
        return self._unheard or bool(self._tail)

    def _end(self, mark: Mark) -> None:
        self._speaking, self._silent = False, True
        self._last_end = mark.edge
        self._complete(whole=True)
        self._events.append(SpeechPaused(round(mark.edge / SAMPLE_RATE, 3)))

    def _work(self, kind: Kind, end: int) -> Work:
        most = self.window.start + round(_MOST_SECONDS * SAMPLE_RATE)
        if end > most:  # cannot be while words are settled; sound that yields none must not grow for ever
            self._cut(end - round(CONTEXT_SECONDS * SAMPLE_RATE))
        options = self.options
        request = HearingRequest(
            audio=self.window.sound(end),
            settled=self.window.relative_words(),
            previous=self.window.prompt,
            language=self._language or options.language.language,
            task=options.task,
            options=DecodingOptions(
                beam_size=options.beam_size if kind is Kind.FINAL else 1,
                initial_prompt=options.prompt,
                hotwords=options.hotwords,
                temperatures=(0.0, 0.4) if kind is Kind.FINAL else (0.0,),
            ),
            # Again at the end of each utterance: people change their language between sentences.
            detect=self.tracker.detects and (self._language is None or self._silent),
            last=kind is Kind.FINAL,
        )
        return Work(kind, end, request, self._choose)

    def _cut(self, sample: int) -> None:
        self._complete(whole=True)
        self.window.begin(sample)
        self._tail = ()

    def _take_tick(self, work: Work, hearing: Hearing, words: tuple[AlignedWord, ...]) -> None:
        count = 0
        if self._language is not None or not self.tracker.detects:
            count = settled_count(hearing, self.window.words, self._tail, self.options.settle)
        self._settle(words[:count], hearing)
        self._tail = words[count:]
        # A pause was heard through to the last word.
        self._unheard = not (self._silent and words and not self._tail)
        shown = self._tail if is_shown(hearing, self.window.words[-20:]) else ()
        self._events.append(self._partial(shown, work.end))
        self._complete(whole=False)
        if self.window.trim(LONGEST_SECONDS, CONTEXT_SECONDS, work.end, hearing.language):
            self._heed(hearing)

    def _take_final(self, work: Work, hearing: Hearing, words: tuple[AlignedWord, ...]) -> None:
        mark = self._pause_at
        edge = mark.edge if mark is not None else work.end
        kept, withheld = judge(hearing, words, self._voice, self.options)
        self._settle(kept, hearing)
        self._tail = ()
        for suppressed in withheld:
            self._events.append(Withheld(suppressed))
        self._events.append(self._partial((), work.end))
        self._complete(whole=False)
        last = self.window.words[-1].end if self.window.words else self.window.start / SAMPLE_RATE
        if self.window.trim(LONGEST_SECONDS, CONTEXT_SECONDS, work.end, hearing.language):
            self._heed(hearing)
        if kept and mark is not None and self._missed_again < 2:
            missed = self._voice.voiced_seconds(round((last + 0.3) * SAMPLE_RATE), edge)
            if missed >= _MISSED:
                self._missed_again += 1
                self._complete(whole=True)
                self.window.begin(round((last + 0.05) * SAMPLE_RATE))
                self._again = mark

    def _settle(self, words: tuple[AlignedWord, ...], hearing: Hearing) -> None:
        if not words:
            return
        if self._announced != hearing.language:
            self._announced = hearing.language
            probability = 1.0
            if hearing.guess is not None:
                probability = dict(hearing.guess.probabilities).get(hearing.language, 0.0)
            self._events.append(LanguageHeard(hearing.language, round(probability, 4)))
        earliest = self.window.words[-1].end if self.window.words else 0.0
        placed: list[AlignedWord] = []
        for word in words:
            start = max(word.start, earliest)
            earliest = max(start, word.end)
            placed.append(replace(word, start=round(start, 3), end=round(earliest, 3)))
        self.window.words.extend(placed)
        self._open.extend(placed)
        self._events.append(Settled(tuple(_word(word) for word in placed), hearing.language))

    def _complete(self, *, whole: bool) -> None:
        """Make segments of settled words: whole sentences, or everything."""
        if not self._open:
            return
        language = self._announced or "en"
        sentences = split_sentences(merge_punctuation(self._open, language), language)
        if not whole and not ends_sentence("".join(w.text for w in sentences[-1]).strip(), language):
            rest = sum(len(word.tokens) for word in sentences.pop())
            kept = len(self._open)
            while rest > 0 and kept:
                kept -= 1
                rest -= len(self._open[kept].tokens)
            self._open = self._open[kept:]
        else:
            self._open = []
        for sentence in sentences:
            self._events.append(SegmentFinal(self._segment(sentence, language)))

    def _segment(self, words: list[AlignedWord], language: str) -> Segment:
        segment = Segment(
            id=self._segments,
            start=words[0].start,
            end=words[-1].end,
            text="".join(word.text for word in words).strip(),
            language=language,
            words=tuple(_word(word) for word in words),
            tokens=tuple(token for word in words for token in word.tokens),
        )
        self._segments += 1
        return segment

    def _partial(self, words: tuple[AlignedWord, ...], end: int) -> Partial:
        at = round(end / SAMPLE_RATE, 3)
        if not words:
            return Partial(at, at, "")
        return Partial(
            round(words[0].start, 3), round(words[-1].end, 3), "".join(word.text for word in words)
        )

    def _heed(self, hearing: Hearing) -> None:
        """The text before is shown to the model only while it went well."""
        if hearing.decoded.avg_logprob < _HELPFUL:
            self.window.prompt = ()

    def _choose(self, guess: LanguageGuess | None) -> str:
        """The language to hear this window in while none is decided on."""
        if guess is None or not self.tracker.detects:
            return self.tracker.decide([]).language
        allowed = self.options.language.allowed
        likely = [code for code, _ in guess.probabilities if not allowed or code in allowed]
        return likely[0] if likely else guess.probabilities[0][0]

    def _heed_language(self, guess: LanguageGuess, spoken: float, *, whole: bool) -> None:
        if self._language is None:
            believed = whole or (spoken >= _DETECT_FROM and not self.tracker.needs_more([guess]))
            if believed:
                self._language = self.tracker.decide([guess]).language
        if whole:
            # It changes when two utterances in a row are sure of another.
            if self._guessed_for == self._start:
                self._guesses.pop()
            self._guessed_for = self._start
            self._guesses = [*self._guesses, guess][-2:]
            self._language = self.tracker.decide(self._guesses).language


def _word(word: AlignedWord) -> Word:
    return Word(word.start, word.end, word.text, round(word.probability, 4))
