"""A stream listened to: what to hear next, and what is made of it. No threads, no clock, no I/O.

Everything is decided by positions in the audio. While the machine keeps up, two runs over the same audio make
the same decisions, however the audio came in and whenever it was interrupted.
"""

from __future__ import annotations

from typing import Any

from scriba.domain.media import SAMPLE_RATE
from scriba.engine.port import AlignedWord, Audio
from scriba.live.events import Flushed, LiveEvent, SpeechPaused, SpeechStarted, Withheld
from scriba.live.hearing import Hearing
from scriba.live.judging import judge
from scriba.live.options import LiveOptions
from scriba.live.pace import AT_EASE, Effort
from scriba.live.settle import is_shown, settled_count
from scriba.live.snapshot import read_mark, read_words, written_mark, written_words
from scriba.live.spoken import SpokenLanguage
from scriba.live.telling import Telling
from scriba.live.turns import Turns
from scriba.live.voice import Mark, MarkKind
from scriba.live.window import ListeningWindow, shifted
from scriba.live.work import Kind, Work, glance_at, listen_to

_MOST_SECONDS = 26.0
_CONTEXT_GAP = 3.0
"""Seconds of silence after which what was said before is no context any more."""
_MARGIN = 0.5
"""Seconds before speech is certain that may belong to it."""
_MISSED = 1.0
"""Seconds of voice behind the last word from which words are taken to be missing."""
_HELPFUL = -0.7
"""Mean log probability below which the text before is no help to what follows."""
_SKIPPED = 6.0
"""Seconds that a stream in a hurry hears at once, when it knows of the pause at their end."""
_GLANCE_STEP = 0.15
"""Seconds between the first looks at an utterance, by which somebody sees that they are heard."""
_GLANCE_UNTIL = 0.8
_GLANCE_WORDS = 4.0
"""Words a second that may come of a first look."""
_PLAIN = (
    "_speaking",
    "_silent",
    "_start",
    "_last_end",
    "_tick",
    "_glancing",
    "_missed_again",
    "_unheard",
)


class Listener:
    """One stream. Call ``hear`` as audio comes; perform ``next_work`` and give its result to ``take``."""

    def __init__(self, options: LiveOptions, languages: frozenset[str]) -> None:
        self.options = options
        self.window = ListeningWindow()
        self._language = SpokenLanguage(options.language, languages)
        self._turns = Turns(options.endpoint)
        self._telling = Telling()
        self._speaking = False
        self._silent = True
        self._start = 0
        self._last_end = 0
        self._tick = 0
        self._glancing = False
        self._pause_at: Mark | None = None
        self._again: Mark | None = None
        self._unheard = True
        self._tail: tuple[AlignedWord, ...] = ()
        self._heard: tuple[int, tuple[int, ...]] = (-1, ())
        """The start of the window heard last, and the tokens of its text."""
        self._missed_again = 0
        self._undo: dict[str, Any] = {}
        """What ``state`` says otherwise while work is under way: it would be lost with the process."""

    @property
    def received(self) -> int:
        """Samples heard of."""
        return self.window.audio.end

    @property
    def needed_from(self) -> int:
        """The first sample that ``restore`` has to be given again."""
        return min(self.window.start, self._turns.begins)

    @property
    def idle(self) -> bool:
        """Nothing is being said, and nothing waits."""
        return not self._speaking and not self._turns.waiting

    @property
    def behind(self) -> float:
        """Seconds of audio that ought to have been heard by now and were not."""
        if self._speaking and not self._silent:
            return max(0.0, self._turns.since(self._tick))
        mark = self._turns.next
        return max(0.0, self._turns.since(mark.at)) if mark is not None else 0.0

    def hear(self, block: Audio) -> None:
        """Audio that has come."""
        known = self._turns.voice.received - self.window.audio.end
        self.window.audio.append(block)
        if known < len(block):
            self._turns.hear(block[max(0, known) :])
        if self.idle:
            self._rest()

    def end_utterance(self) -> None:
        """The client says that what was said so far is complete (flush, commit, finish)."""
        self._turns.flush()

    def state(self) -> dict[str, Any]:
        """All that cannot be heard again from the audio, as JSON."""
        state = {
            **{name: getattr(self, name) for name in _PLAIN},
            "window": self.window.state(),
            "turns": self._turns.state(),
            "telling": self._telling.state(),
            "language": self._language.state(),
            "tail": written_words(self._tail),
            "pause": written_mark(self._pause_at),
            "again": written_mark(self._again),
        }
        return state | self._undo

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from there. The audio is to be given again from ``received`` on."""
        for name in _PLAIN:
            setattr(self, name, state[name])
        self._turns.restore(state["turns"])
        self.window.restore(state["window"], self._turns.begins)
        self._telling.restore(state["telling"])
        self._language.restore(state["language"])
        self._tail = tuple(read_words(state["tail"]))
        self._pause_at = read_mark(state["pause"])
        self._again = read_mark(state["again"])

    @property
    def has_events(self) -> bool:
        return bool(self._telling)

    def events(self) -> list[LiveEvent]:
        """What happened since the last call, in order."""
        return self._telling.take()

    def next_work(self, effort: Effort = AT_EASE) -> Work | None:
        """What to hear now; None while there is nothing. ``effort``: what the machine has room for."""
        self._undo = {}
        if self._again is not None:
            again, self._again = self._again, None
            work = self._hear_to(Kind.FINAL, again, effort)
            if work is not None:
                self._undo = {"again": written_mark(again)}
                return work
        while True:
            mark = self._turns.next
            ticking = self._speaking and not self._silent
            if ticking and self._tick <= self._turns.position and (mark is None or self._tick < mark.at):
                work = self._next_tick(mark, effort)
                if work is not None:
                    return work
                continue
            if mark is None:
                return None
            self._turns.take()
            work = self._pass_mark(mark, effort)
            if work is not None:
                return work

    def renew(self, work: Work, effort: Effort) -> Work | None:
        """What to hear instead of work that was not begun, now that there may be more audio."""
        if work.kind is Kind.FINAL or not effort.hurry:
            return work
        if self._undo:
            for name, value in self._undo.items():
                setattr(self, name, value)
            return self.next_work(effort)
        if self._turns.waiting:  # a pause that is over
            self._unheard = True
            return self.next_work(effort)
        return work

    def take(self, work: Work, hearing: Hearing) -> None:
        """What was heard; the events it makes come out of ``events``."""
        self._undo = {}
        words = tuple(shifted(word, work.start / SAMPLE_RATE) for word in hearing.words)
        if work.kind is Kind.GLANCE:
            self._take_glance(work, hearing, words)
            return
        if hearing.guess is not None:
            spoken = (work.end - self._start) / SAMPLE_RATE
            self._language.heed(hearing.guess, self._start, spoken, whole=self._silent)
        self._heard = work.start, tuple(t for phrase in hearing.decoded.phrases for t in phrase.tokens)
        if work.kind is Kind.TICK:
            self._take_tick(work, hearing, words)
        else:
            self._take_final(work, hearing, words)

    def _next_tick(self, mark: Mark | None, effort: Effort) -> Work | None:
        bound = self._turns.position if mark is None else mark.at - 1
        at = self._tick
        step = round(self.options.settle.step * SAMPLE_RATE)
        glance = self._glancing and at - self._start < _GLANCE_UNTIL * SAMPLE_RATE and not effort.thrift
        if effort.hurry:
            if mark is not None and bound - at < _SKIPPED * SAMPLE_RATE:
                self._tick = mark.at  # how it went on is known already: it is heard to there
                return None
            at += max(0, (bound - at) // step) * step
            step = round(step * effort.stretch)
        self._undo = {"_tick": self._tick, "_glancing": self._glancing}
        self._tick = at + (round(_GLANCE_STEP * SAMPLE_RATE) if glance else step)
        self._glancing = glance
        if self._turns.voiced_seconds(self._start, at) < self.options.endpoint.shortest:
            self._undo = {}
            return None
        return self._work(Kind.GLANCE if glance else Kind.TICK, at, effort)

    def _pass_mark(self, mark: Mark, effort: Effort) -> Work | None:
        match mark.kind:
            case MarkKind.FLUSH:
                self._telling.tell(Flushed(round(mark.edge / SAMPLE_RATE, 3)))
            case MarkKind.START:
                self._begin(mark)
            case MarkKind.RESUME:
                self._silent = False
                self._unheard = True
                self._tick = mark.edge + round(self.options.settle.step * SAMPLE_RATE)
            case MarkKind.PAUSE:
                self._silent = True
                if effort.hurry and self._turns.waiting:  # how it went on is known already
                    self._unheard = True
                    return None
                return self._hear_to(Kind.TICK, mark, effort)
            case MarkKind.END:
                self._silent = True
                heard = self._pause_at == mark or not self._is_open()
                work = None if heard else self._hear_to(Kind.FINAL, mark, effort)
                if work is not None:
                    self._undo = {"pause": written_mark(self._pause_at)}
                    self._pause_at = mark
                    self._turns.put_back(mark)
                    return work
                self._end(mark)
        return None

    def _rest(self) -> None:
        """In silence little of the audio is needed any more, and nothing from before the last fresh start."""
        self._turns.forget()
        if self._turns.since(self._last_end) > _CONTEXT_GAP + _MARGIN:
            margin = round((self.options.endpoint.padding + _MARGIN) * SAMPLE_RATE)
            self.window.begin(max(self.window.start, self._turns.position - margin))
            self.window.prompt = ()

    def _begin(self, mark: Mark) -> None:
        gap = (mark.edge - self._last_end) / SAMPLE_RATE
        if not self.window.words or gap > _CONTEXT_GAP:
            self.window.begin(self._beginning(mark.edge))
        if gap > _CONTEXT_GAP:
            self.window.prompt = ()
        self._speaking, self._silent = True, False
        self._start = mark.edge
        self._tail = ()
        self._missed_again = 0
        self._unheard = self._glancing = True
        self._again = None
        self._tick = mark.edge + round(self.options.settle.first * SAMPLE_RATE)
        self._telling.tell(SpeechStarted(round(mark.edge / SAMPLE_RATE, 3)))

    def _beginning(self, edge: int) -> int:
        """Where the sound of an utterance begins."""
        return max(edge - round(self.options.endpoint.padding * SAMPLE_RATE), self._last_end)

    def _hear_to(self, kind: Kind, mark: Mark, effort: Effort) -> Work | None:
        """Up to a mark; None when there is no voice worth it."""
        if self._turns.voiced_seconds(self._start, mark.at) < self.options.endpoint.shortest:
            return None
        return self._work(kind, mark.at, effort)

    def _is_open(self) -> bool:
        """Something of the utterance may still be unsettled."""
        return self._unheard or bool(self._tail)

    def _end(self, mark: Mark) -> None:
        self._speaking, self._silent = False, True
        self._last_end = mark.edge
        self._telling.complete(whole=True)
        self._telling.tell(SpeechPaused(round(mark.edge / SAMPLE_RATE, 3)))

    def _work(self, kind: Kind, end: int, effort: Effort) -> Work:
        most = self.window.start + round(_MOST_SECONDS * SAMPLE_RATE)
        if end > most:  # cannot be while words are settled; sound that yields none must not grow for ever
            self._cut(end - round(self.options.window.least * SAMPLE_RATE))
        if kind is Kind.GLANCE:
            start = max(self.window.start, self._beginning(self._start))
            return glance_at(self.window, start, end, self.options, self._language)
        return listen_to(
            kind,
            self.window,
            end,
            effort,
            self.options,
            self._language,
            draft=self._draft(),
            silent=self._silent,
        )

    def _draft(self) -> tuple[int, ...]:
        """What will be heard in the window, but for what is new."""
        start, tokens = self._heard
        if start == self.window.start:
            return tokens
        return tuple(token for word in (*self.window.words, *self._tail) for token in word.tokens)

    def _cut(self, sample: int) -> None:
        self._telling.complete(whole=True)
        self.window.begin(sample)
        self._tail = ()

    def _take_glance(self, work: Work, hearing: Hearing, words: tuple[AlignedWord, ...]) -> None:
        # Of so little sound a model makes anything; what nobody can say in the time it made up.
        if is_shown(hearing, ()) and len(words) <= 1 + _GLANCE_WORDS * hearing.seconds:
            self._glancing = False
            self._tick = work.end + round(self.options.settle.step * SAMPLE_RATE)
            self._telling.show(words, work.end)

    def _take_tick(self, work: Work, hearing: Hearing, words: tuple[AlignedWord, ...]) -> None:
        count = 0
        if not self._language.open:
            policy = self.options.settle.at(work.effort.stretch)
            count = settled_count(hearing, self.window.words, self._tail, policy)
        self._settle(words[:count], hearing)
        self._tail = words[count:]
        # A pause was heard through to the last word.
        self._unheard = not (self._silent and words and not self._tail)
        shown = self._tail if is_shown(hearing, self.window.words[-20:]) else ()
        self._telling.show(shown, work.end)
        self._telling.complete(whole=False)
        if not self._tail and self._missed(work.end) >= _MISSED:
            # The model took the pause before for the end: begin behind it.
            self._begin_behind()
        else:
            self._trim(work, hearing)

    def _take_final(self, work: Work, hearing: Hearing, words: tuple[AlignedWord, ...]) -> None:
        mark = self._pause_at
        edge = mark.edge if mark is not None else work.end
        kept, withheld = judge(hearing, words, self._turns.voice, self.options)
        self._settle(kept, hearing)
        self._tail = ()
        for suppressed in withheld:
            self._telling.tell(Withheld(suppressed))
        self._telling.show((), work.end)
        self._telling.complete(whole=False)
        missed = mark is not None and not withheld and self._missed(edge) >= _MISSED
        self._trim(work, hearing)
        if missed and self._missed_again < 2:
            self._missed_again += 1
            self._begin_behind()
            self._again = mark

    def _missed(self, until: int) -> float:
        """Seconds of voice behind the last settled word."""
        return self._turns.voiced_seconds(self._behind_last(0.3), until)

    def _begin_behind(self) -> None:
        """Hear what follows by itself."""
        self._telling.complete(whole=True)
        self.window.begin(self._behind_last(0.05))

    def _behind_last(self, seconds: float) -> int:
        if not self.window.words:
            return max(self.window.start, self._beginning(self._start))
        behind = round((self.window.words[-1].end + seconds) * SAMPLE_RATE)
        return max(behind, self._beginning(self._start))

    def _trim(self, work: Work, hearing: Hearing) -> None:
        bounds = self.options.window
        longest, least = bounds.thrifty if work.effort.thrift else (bounds.longest, bounds.least)
        cut = self.window.trim(longest, least, work.end, hearing.language)
        if cut and hearing.decoded.avg_logprob < _HELPFUL:
            # The text before is shown to the model only while it went well.
            self.window.prompt = ()

    def _settle(self, words: tuple[AlignedWord, ...], hearing: Hearing) -> None:
        earliest = self.window.words[-1].end if self.window.words else 0.0
        self.window.words.extend(self._telling.settle(words, earliest, hearing))
