"""A whole recording to a transcript: decode, listen window by window, judge, and tell as it goes."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from typing import Any, TypeVar

from scriba.audio.decode import DecodeLimits, open_recording
from scriba.domain.cancel import CancelToken
from scriba.domain.events import (
    Event,
    Finished,
    LanguageDetected,
    Progress,
    SegmentReady,
    TextSuppressed,
    WindowFinished,
    WindowHeard,
)
from scriba.domain.media import SAMPLE_RATE
from scriba.domain.options import TranscribeOptions
from scriba.domain.resume import HeardWindow, ResumePoint
from scriba.domain.transcript import Segment, Suppressed, Transcript
from scriba.engine.port import WINDOW_SAMPLES, Encoded, Engine, EngineProvider, LanguageGuess
from scriba.engine.scheduler import Priority, Scheduler
from scriba.engine.steps import DetectLanguage, Flow
from scriba.transcribe.beside import SoundBeside, listen_to_both
from scriba.transcribe.drafts import Draft, draft_segments
from scriba.transcribe.guards import Guards
from scriba.transcribe.heard import passes_from_text, passes_to_text
from scriba.transcribe.languages import Decision, LanguageTracker
from scriba.transcribe.listening import Pass, encode_window, listen
from scriba.transcribe.port import Source
from scriba.transcribe.silence import withhold_in_silence
from scriba.transcribe.windows import Window, plan_windows

T = TypeVar("T")

_CHECK_SECONDS = 0.1
"""How often a wait for inference looks whether the work is still wanted."""
_AHEAD = 0.5
"""Seconds by which encoding a later window may be put off for hearing an earlier one."""
_AHEAD_EACH = 1.0
"""Seconds by which each further window of one recording may be put off for others."""
_PATIENCE = 1.0
"""Seconds a window other than the first may wait to be decoded together with others."""
_FIRST_PATIENCE = 0.25
"""The same for the first window: 36 clips, sixteen at once, 12.8 a second without it and 23.4 with it."""
_FIRST_REACH = 6 * _AHEAD_EACH
"""Company is who came up to so many seconds later, or the recording's own next windows."""


@dataclass(slots=True)
class _Pending:
    """A window on its way: encoded first where something must be known before it can be heard."""

    window: Window
    whole: Window | None = None
    """The same window before voice was parted from music, where it was."""
    encoding: Future[tuple[Encoded, LanguageGuess | None]] | None = None
    decision: Decision | None = None
    listening: Future[list[Pass]] | None = None
    told: bool = False
    """That it was heard is known to whoever may have to go on."""

    @property
    def news(self) -> bool:
        return self.listening is not None and self.listening.done() and not self.told


class RecordingTranscriber:
    """Implements ``scriba.transcribe.port.Transcriber``."""

    def __init__(
        self, engines: EngineProvider, scheduler: Scheduler, limits: DecodeLimits | None = None
    ) -> None:
        self._engines = engines
        self._scheduler = scheduler
        self._limits = limits or DecodeLimits()

    def run(
        self,
        source: Source,
        options: TranscribeOptions,
        cancel: CancelToken | None = None,
        priority: Priority = Priority.INTERACTIVE,
        resume: ResumePoint | None = None,
        *,
        beside: SoundBeside | None = None,
    ) -> Iterator[Event]:
        """See the port. With ``beside`` its whole sound is what is planned on, and its voice is heard too."""
        token = cancel or CancelToken()
        token.check()
        # The medium first: a file that can't be read must not cost the loading of a model.
        with open_recording(source if beside is None else beside.whole, self._limits) as recording:
            blocks = recording.blocks(token)
            with self._engines.acquire(
                options.model, language=options.language.language, task=options.task, cancel=token
            ) as engine:
                windows = plan_windows(blocks, options.vad, window_samples=_window_samples(options))
                run = _Run(engine, self._scheduler, options, token, priority, recording.info.duration, beside)
                if options.vad.enabled:
                    windows = run.noting_speech(windows)
                if resume is not None:
                    run.go_on_behind(resume)
                    # Planned again from the start: where a window ends hangs on all sound before it.
                    windows = (window for window in windows if window.index >= resume.windows)
                try:
                    yield from run.events(windows)
                finally:
                    run.abandon()
                yield Progress(recording.seconds_decoded, recording.seconds_decoded)
                yield Finished(run.transcript(recording.seconds_decoded))


def _window_samples(options: TranscribeOptions) -> int:
    return WINDOW_SAMPLES if options.chunk_length is None else options.chunk_length * SAMPLE_RATE


class _Run:
    """One recording on its way: windows are read ahead, decided on in order, heard side by side."""

    def __init__(
        self,
        engine: Engine,
        scheduler: Scheduler,
        options: TranscribeOptions,
        cancel: CancelToken,
        priority: Priority,
        claimed_duration: float | None,
        beside: SoundBeside | None = None,
    ) -> None:
        self._beside = beside
        self._engine = engine
        self._scheduler = scheduler
        self._options = options
        self._cancel = cancel
        self._priority = priority
        self._claimed_duration = claimed_duration
        self._tracker = LanguageTracker(options.language, engine.capabilities.languages)
        self._guards = Guards(
            log_prob_threshold=options.decoding.log_prob_threshold or float("-inf"),
            compression_ratio_threshold=options.decoding.compression_ratio_threshold or float("inf"),
            english_unsaid=_english_unsaid(engine, options),
        )
        # Conditioning needs the text before; everything else may be heard side by side.
        self._conditioned = options.decoding.condition_on_previous_text
        self._encodes_first = self._conditioned or self._tracker.detects
        self._in_flight = scheduler.in_flight(engine, rows=options.decoding.beam_size)
        if options.batch_size is not None:
            self._in_flight = min(self._in_flight, options.batch_size)
        self._pending: deque[_Pending] = deque()
        self._previous: tuple[int, ...] = ()
        self._announced: str | None = None
        self._resumable = False
        self._heard: dict[int, HeardWindow] = {}
        self._segments: list[Segment] = []
        self._speech: list[tuple[float, float]] = []
        self._suppressed: list[Suppressed] = []
        self._seconds_by_language: dict[str, float] = {}
        self._probability_by_language: dict[str, float] = {}

    def go_on_behind(self, point: ResumePoint) -> None:
        """Take over what was known when the windows of ``point`` were finished, and tell such points."""
        self._resumable = True
        self._segments = list(point.segments)
        self._suppressed = list(point.suppressed)
        self._previous = point.previous
        self._heard = {window.number: window for window in point.ahead}
        self._guards.remember(point.recent)
        if point.language is not None:
            self._tracker.remember(Decision(point.language, point.probability))
        for segment in point.segments:
            self._count(segment)
        self._probability_by_language = dict(point.probabilities)

    def noting_speech(self, windows: Iterator[Window]) -> Iterator[Window]:
        for window in windows:
            for speech in window.speech:
                start, end = window.restore(speech.start), window.restore(speech.end, ends=True)
                self._speech.append((round(start, 3), round(end, 3)))
            yield window

    def events(self, windows: Iterator[Window]) -> Iterator[Event]:
        exhausted = False
        while self._pending or not exhausted:
            self._cancel.check()
            head = self._pending[0] if self._pending else None
            if head is not None and head.listening is not None and head.listening.done():
                # What is finished is worth more to the reader than another window in hand.
                yield from self._finish(self._pending.popleft())
            elif self._resumable and any(pending.news for pending in self._pending):
                yield from self._tell_heard()
            elif not exhausted and len(self._pending) < self._in_flight:
                window = next(windows, None)
                if window is None:
                    exhausted = True
                else:
                    self._pending.append(self._begin(window))
                self._decide(exhausted=exhausted)
            elif not self._decide(exhausted=exhausted):
                self._wait_for_news()

    def abandon(self) -> None:
        """Let go of whatever is still queued; what runs sees the token at its next step."""
        if self._pending:
            self._cancel.cancel()
        for pending in self._pending:
            for future in (pending.encoding, pending.listening):
                if future is not None:
                    future.cancel()

    def transcript(self, duration: float) -> Transcript:
        language, probability = self._main_language()
        return Transcript(
            segments=tuple(self._segments),
            duration=duration,
            language=language,
            language_probability=probability,
            task=self._options.task,
            model=self._engine.model,
            suppressed=tuple(self._suppressed),
            speech=tuple(self._speech),
        )

    def _main_language(self) -> tuple[str | None, float]:
        asked = self._options.language.language
        if asked is not None:
            return asked, 1.0
        if not self._seconds_by_language:
            return None, 0.0
        language = max(self._seconds_by_language, key=self._seconds_by_language.__getitem__)
        return language, round(self._probability_by_language[language], 4)

    def _begin(self, window: Window) -> _Pending:
        whole: Window | None = None
        if self._beside is not None:
            whole = window
            window = self._beside.soften(self._beside.of(whole), whole)
        if self._encodes_first:
            flow = _encode(window, detect=self._tracker.detects)
            # Hearing an earlier window brings text; this only prepares for it.
            return _Pending(window, whole, encoding=self._submit(window, flow, ahead=_AHEAD))
        pending = _Pending(window, whole)
        self._listen(pending, None, self._tracker.decide([]))
        return pending

    def _decide(self, *, exhausted: bool) -> bool:
        """Begin to hear each window whose turn has come and language is settled; True if there was one."""
        began = False
        for index, pending in enumerate(self._pending):
            if pending.listening is not None:
                continue
            if self._conditioned and index > 0:
                break  # it needs the text of the one before
            guesses = self._guesses(index, exhausted=exhausted)
            if pending.encoding is None or guesses is None:
                break
            encoded, _ = pending.encoding.result()
            self._listen(pending, encoded, self._tracker.decide(guesses))
            pending.encoding = None
            began = True
        return began

    def _guesses(self, index: int, *, exhausted: bool) -> list[LanguageGuess] | None:
        """What the language of a window is decided by; None while something is still missing."""
        guesses: list[LanguageGuess] = []
        for position in range(index, len(self._pending)):
            encoding = self._pending[position].encoding
            if encoding is None or not encoding.done():
                return None
            _, guess = encoding.result()
            if guess is not None:
                guesses.append(guess)
            if not self._tracker.needs_more(guesses):
                return guesses
        # The windows that are read do not suffice: wait for more, unless there are none.
        return guesses if exhausted or len(self._pending) == self._in_flight else None

    def _tell_heard(self) -> Iterator[Event]:
        """Windows that were heard before their turn; nobody need hear them again."""
        for pending in self._pending:
            if pending.news:
                pending.told = True
                assert pending.listening is not None  # noqa: S101
                assert pending.decision is not None  # noqa: S101
                if pending.listening.exception() is None:  # else it is raised when its turn comes
                    text = passes_to_text(pending.listening.result())
                    yield WindowHeard(HeardWindow(pending.window.index, pending.decision.language, text))

    def _listen(self, pending: _Pending, encoded: Encoded | None, decision: Decision) -> None:
        pending.decision = decision
        known = self._heard.pop(pending.window.index, None)
        if known is not None and known.language == decision.language:
            pending.told = True
            pending.listening = Future()
            pending.listening.set_result(passes_from_text(known.text))
            return
        word_times = self._engine.capabilities.word_times
        asked = (encoded, decision.language, self._options, self._previous)
        if pending.whole is None:
            flow = listen(pending.window, *asked, word_times=word_times)
        else:
            flow = listen_to_both(pending.window, pending.whole, *asked, word_times=word_times)
        pending.listening = self._submit(pending.window, flow)

    def _submit(self, window: Window, flow: Flow[T], *, ahead: float = 0.0) -> Future[T]:
        return self._scheduler.submit(
            flow,
            self._engine,
            priority=self._priority,
            cancel=self._cancel,
            # The further ahead, the less urgent: another user's first window goes before this one's tenth.
            ahead=ahead + len(self._pending) * _AHEAD_EACH,
            # Somebody may wait for the first words: for company they wait, too, but not long, and not while
            # only less urgent work is there.
            patience=_FIRST_PATIENCE if window.index == 0 else _PATIENCE,
            reach=_FIRST_REACH if window.index == 0 else math.inf,
        )

    def _wait_for_news(self) -> None:
        """Until a future of interest is done, or it is time to look whether the work is still wanted."""
        news: list[Future[Any]] = [
            own.encoding for own in self._pending if own.encoding and not own.encoding.done()
        ]
        if self._resumable:
            news += [own.listening for own in self._pending if own.listening and not own.listening.done()]
        elif self._pending[0].listening is not None:
            news.append(self._pending[0].listening)
        wait(news, timeout=_CHECK_SECONDS, return_when=FIRST_COMPLETED)

    def _finish(self, pending: _Pending) -> Iterator[Event]:
        assert pending.listening is not None  # noqa: S101
        assert pending.decision is not None  # noqa: S101
        passes, window, decision = pending.listening.result(), pending.window, pending.decision
        drafts = draft_segments(window, passes, decision.language)
        verdicts: list[Draft | Suppressed] = (
            self._guards.judge(drafts) if self._options.guards else list(drafts)
        )
        silence = self._options.decoding.hallucination_silence_threshold
        if silence is not None:
            before = self._segments[-1].end if self._segments else 0.0
            verdicts = withhold_in_silence(verdicts, silence, before, window.end)
        for verdict in verdicts:
            if isinstance(verdict, Suppressed):
                self._suppressed.append(verdict)
                yield TextSuppressed(verdict)
                continue
            yield from self._announce(decision)
            segment = self._segment(verdict, decision.language)
            self._segments.append(segment)
            self._count(segment)
            self._probability_by_language.setdefault(decision.language, decision.probability)
            yield SegmentReady(segment)
        self._remember(passes)
        yield Progress(
            window.end, max(self._claimed_duration, window.end) if self._claimed_duration else None
        )
        if self._resumable:
            yield WindowFinished(self._point(window, decision))

    def _point(self, window: Window, decision: Decision) -> ResumePoint:
        return ResumePoint(
            windows=window.index + 1,
            segments=tuple(self._segments),
            suppressed=tuple(self._suppressed),
            language=decision.language,
            probability=decision.probability,
            probabilities=tuple(self._probability_by_language.items()),
            previous=self._previous,
            recent=self._guards.recent,
        )

    def _count(self, segment: Segment) -> None:
        spoken = self._seconds_by_language.get(segment.language, 0.0)
        self._seconds_by_language[segment.language] = spoken + segment.end - segment.start

    def _announce(self, decision: Decision) -> Iterator[Event]:
        if self._announced != decision.language:
            self._announced = decision.language
            yield LanguageDetected(decision.language, decision.probability)

    def _segment(self, draft: Draft, language: str) -> Segment:
        decoded = draft.decoded
        # Windows decoded apart may each round outwards at a shared pause.
        earliest = self._segments[-1].end if self._segments else 0.0
        start = max(draft.start, min(earliest, draft.end))
        return Segment(
            id=len(self._segments),
            start=start,
            end=draft.end,
            text=draft.text,
            language=language,
            words=draft.words if self._options.words else None,
            tokens=draft.tokens,
            seek=round(draft.seek * 100),
            temperature=decoded.temperature,
            avg_logprob=decoded.avg_logprob,
            compression_ratio=decoded.compression_ratio,
            no_speech_prob=decoded.no_speech_prob,
        )

    def _remember(self, passes: list[Pass]) -> None:
        """The next window's prompt: what was said, unless the model was guessing."""
        if not self._conditioned or not passes:
            return
        threshold = self._options.decoding.prompt_reset_on_temperature
        if any(heard.decoded.temperature > threshold for heard in passes):
            self._previous = ()
            return
        said = tuple(
            token
            for heard in passes
            if not heard.silent
            for phrase in heard.phrases
            for token in phrase.phrase.tokens
        )
        self._previous = (self._previous + said)[-448:]


def _english_unsaid(engine: Engine, options: TranscribeOptions) -> bool:
    """Nobody said that the recording is English: neither by naming it nor by naming an English-only model."""
    chosen = options.language.language is not None or options.model == engine.model
    return engine.capabilities.languages == {"en"} and not chosen


def _encode(window: Window, *, detect: bool) -> Flow[tuple[Encoded, LanguageGuess | None]]:
    encoded: Encoded = yield encode_window(window)
    guess: LanguageGuess | None = None
    if detect:
        guess = yield DetectLanguage(encoded)
    return encoded, guess
