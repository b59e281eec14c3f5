"""A whole recording to a transcript: decode, listen window by window, judge, and tell as it goes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from typing import TypeVar

from scriba.audio.decode import DecodeLimits, open_recording
from scriba.domain.cancel import CancelToken
from scriba.domain.events import Event, Finished, LanguageDetected, Progress, SegmentReady, TextSuppressed
from scriba.domain.options import TranscribeOptions
from scriba.domain.transcript import Segment, Suppressed, Transcript
from scriba.engine.executor import InferenceExecutor, Priority
from scriba.engine.port import Encoded, Engine, EngineProvider, LanguageGuess
from scriba.transcribe.drafts import Draft, draft_segments
from scriba.transcribe.guards import Guards
from scriba.transcribe.languages import Decision, LanguageTracker
from scriba.transcribe.listening import Pass, listen
from scriba.transcribe.port import Source
from scriba.transcribe.windows import Window, plan_windows

T = TypeVar("T")

_CHECK_SECONDS = 0.1
"""How often a wait for inference looks whether the work is still wanted."""


@dataclass(slots=True)
class _Encoding:
    """A window whose encoding and language guess are under way."""

    window: Window
    future: Future[tuple[Encoded, LanguageGuess | None]]


@dataclass(slots=True)
class _Decoding:
    window: Window
    decision: Decision
    future: Future[list[Pass]]


class RecordingTranscriber:
    """Implements ``scriba.transcribe.port.Transcriber``."""

    def __init__(
        self, engines: EngineProvider, executor: InferenceExecutor, limits: DecodeLimits | None = None
    ) -> None:
        self._engines = engines
        self._executor = executor
        self._limits = limits or DecodeLimits()

    def run(
        self,
        source: Source,
        options: TranscribeOptions,
        cancel: CancelToken | None = None,
        priority: Priority = Priority.INTERACTIVE,
    ) -> Iterator[Event]:
        token = cancel or CancelToken()
        token.check()
        # The medium first: a file that can't be read must not cost the loading of a model.
        with open_recording(source, self._limits) as recording:
            blocks = recording.blocks(token)
            with self._engines.acquire(
                options.model, language=options.language.language, task=options.task, cancel=token
            ) as engine:
                windows = plan_windows(blocks, options.vad)
                run = _Run(engine, self._executor, options, token, priority, recording.info.duration)
                try:
                    yield from run.events(windows)
                finally:
                    run.abandon()
                yield Progress(recording.seconds_decoded, recording.seconds_decoded)
                yield Finished(run.transcript(recording.seconds_decoded))


class _Run:
    """One recording on its way: windows are encoded ahead, decided in order, decoded in parallel."""

    def __init__(
        self,
        engine: Engine,
        executor: InferenceExecutor,
        options: TranscribeOptions,
        cancel: CancelToken,
        priority: Priority,
        claimed_duration: float | None,
    ) -> None:
        self._engine = engine
        self._executor = executor
        self._options = options
        self._cancel = cancel
        self._priority = priority
        self._claimed_duration = claimed_duration
        self._tracker = LanguageTracker(options.language, engine.capabilities.languages)
        self._guards = Guards(
            log_prob_threshold=options.decoding.log_prob_threshold or float("-inf"),
            compression_ratio_threshold=options.decoding.compression_ratio_threshold or float("inf"),
        )
        # Conditioning needs the text before; everything else may be decoded side by side.
        self._conditioned = options.decoding.condition_on_previous_text
        self._look_ahead = 1
        self._decode_ahead = 1 if self._conditioned else engine.capabilities.parallelism + 1
        self._encodings: deque[_Encoding] = deque()
        self._decodings: deque[_Decoding] = deque()
        self._previous: tuple[int, ...] = ()
        self._announced: str | None = None
        self._segments: list[Segment] = []
        self._suppressed: list[Suppressed] = []
        self._seconds_by_language: dict[str, float] = {}
        self._probability_by_language: dict[str, float] = {}

    def events(self, windows: Iterator[Window]) -> Iterator[Event]:
        exhausted = False
        while True:
            self._cancel.check()
            while not exhausted and len(self._encodings) <= self._look_ahead:
                window = next(windows, None)
                if window is None:
                    exhausted = True
                else:
                    self._encodings.append(self._encode(window))
                    if self._finished():
                        break
            while self._encodings and len(self._decodings) < self._decode_ahead and not self._finished():
                if not self._start_decoding(exhausted=exhausted):
                    break
            if self._decodings:
                if exhausted or self._conditioned or len(self._decodings) == self._decode_ahead:
                    yield from self._finish(self._decodings.popleft())
                else:
                    while self._finished():
                        yield from self._finish(self._decodings.popleft())
            elif exhausted and not self._encodings:
                return

    def _finished(self) -> bool:
        """The next window in line is done: worth more to the reader than another in hand."""
        return bool(self._decodings) and self._decodings[0].future.done()

    def abandon(self) -> None:
        """Let go of whatever is still queued; what runs sees the token at its next step."""
        for encoding in self._encodings:
            encoding.future.cancel()
        for decoding in self._decodings:
            decoding.future.cancel()
        if self._encodings or self._decodings:
            self._cancel.cancel()

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
        )

    def _main_language(self) -> tuple[str | None, float]:
        asked = self._options.language.language
        if asked is not None:
            return asked, 1.0
        if not self._seconds_by_language:
            return None, 0.0
        language = max(self._seconds_by_language, key=self._seconds_by_language.__getitem__)
        return language, round(self._probability_by_language[language], 4)

    def _encode(self, window: Window) -> _Encoding:
        engine, cancel, detect = self._engine, self._cancel, self._tracker.detects

        def job() -> tuple[Encoded, LanguageGuess | None]:
            cancel.check()
            encoded = engine.encode(window.audio)
            return encoded, engine.detect_language(encoded) if detect else None

        # Decoding an earlier window brings text; this only prepares for it.
        return _Encoding(window, self._executor.submit(job, self._priority, ahead=1))

    def _start_decoding(self, *, exhausted: bool) -> bool:
        """Decide on the next window's language and queue it; False when later windows must be known first."""
        encoded, first = self._wait(self._encodings[0].future)
        guesses: list[LanguageGuess] = []
        if first is not None:
            guesses.append(first)
            following = 1
            while self._tracker.needs_more(guesses):
                if following == len(self._encodings):
                    if not exhausted:
                        self._look_ahead = following
                        return False
                    break
                guess = self._wait(self._encodings[following].future)[1]
                if guess is not None:
                    guesses.append(guess)
                following += 1
        window = self._encodings.popleft().window
        self._look_ahead = 1
        decision = self._tracker.decide(guesses)
        engine, options, cancel, previous = self._engine, self._options, self._cancel, self._previous

        def job() -> list[Pass]:
            cancel.check()
            return listen(engine, window, encoded, decision.language, options, previous, cancel)

        self._decodings.append(_Decoding(window, decision, self._executor.submit(job, self._priority)))
        return True

    def _finish(self, decoding: _Decoding) -> Iterator[Event]:
        passes = self._wait(decoding.future)
        window, decision = decoding.window, decoding.decision
        drafts = draft_segments(window, passes, decision.language)
        verdicts: list[Draft | Suppressed] = (
            self._guards.judge(drafts) if self._options.guards else list(drafts)
        )
        for verdict in verdicts:
            if isinstance(verdict, Suppressed):
                self._suppressed.append(verdict)
                yield TextSuppressed(verdict)
                continue
            yield from self._announce(decision)
            segment = self._segment(verdict, decision.language)
            self._segments.append(segment)
            spoken = self._seconds_by_language.get(decision.language, 0.0)
            self._seconds_by_language[decision.language] = spoken + segment.end - segment.start
            self._probability_by_language.setdefault(decision.language, decision.probability)
            yield SegmentReady(segment)
        self._remember(passes)
        yield Progress(
            window.end, max(self._claimed_duration, window.end) if self._claimed_duration else None
        )

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

    def _wait(self, future: Future[T]) -> T:
        while True:
            try:
                return future.result(timeout=_CHECK_SECONDS)
            except FutureTimeoutError:
                self._cancel.check()
