"""Settle policies on virtual time: what each costs in words and seconds, without sockets and without waiting.

    python -m benchmarks.live_policy [--model NAME]... [--minutes M] [--only POLICY]...
                                     [--recording FILE --text FILE]

The policies: every delay level; the default with one kind of evidence alone; and, on faster-whisper with the
same weights, whisper_streaming's. A stream is fed as fast as it is heard; each hearing takes the time that it
took, so that lags are those of one stream on this machine with nothing else to do. ``load`` is the share of
the time in which something was computed. The offline error is that of a server with the same model.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.arguments import MODELS
from benchmarks.live import joined, offline
from benchmarks.local_agreement import STEP_SECONDS, LocalAgreement, load_model
from benchmarks.recordings import Speech, long_readings, read_samples
from benchmarks.rounds import percentile, say
from benchmarks.scores import score_english
from benchmarks.server import Server
from benchmarks.weights import Weights, find_weights
from scriba.domain.media import SAMPLE_RATE
from scriba.domain.options import LanguagePolicy
from scriba.engine.loading import load_engine
from scriba.engine.port import Audio, Engine
from scriba.engine.steps import run_inline
from scriba.live.events import Partial, Settled, SpeechStarted
from scriba.live.listener import Listener
from scriba.live.options import Delay, LiveOptions, SettlePolicy

_CHUNK = SAMPLE_RATE // 10
_NEVER = 99.0
_LOW = SettlePolicy.for_delay(Delay.LOW)
POLICIES = {
    **{delay.value: SettlePolicy.for_delay(delay) for delay in Delay},
    "alignment": replace(_LOW, agreed_clear=_NEVER),
    "agreement": replace(_LOW, clear=_NEVER, patience=_NEVER),
}
LOCAL_AGREEMENT = "local-agreement"


@dataclass
class Outcome:
    """What came of one recording. ``busy`` are the seconds in which something was computed."""

    words: list[str] = field(default_factory=list)
    lags: list[float] = field(default_factory=list)
    firsts: list[float] = field(default_factory=list)
    busy: float = 0.0


def listen(engine: Engine, options: LiveOptions, audio: Audio) -> Outcome:
    """One recording through one listener. ``clock`` is the moment, in seconds of the stream, at which the
    last hearing was done."""
    listener = Listener(options, engine.capabilities.languages)
    outcome = Outcome()
    started: float | None = None
    position, clock, ended = 0, 0.0, False

    def feed(end: int) -> None:
        nonlocal position
        while position < min(end, len(audio)):
            listener.hear(audio[position : position + _CHUNK])
            position += _CHUNK

    def note() -> None:
        nonlocal started
        for event in listener.events():
            match event:
                case SpeechStarted(at):
                    started = at
                case Settled(words, _):
                    outcome.words += [word.text for word in words]
                    outcome.lags += [clock - word.end for word in words]
                case Partial(_, _, text) if started is not None and text.strip():
                    outcome.firsts.append(clock - started)
                    started = None
                case _:
                    pass

    while True:
        work = listener.next_work()
        if work is None and ended:
            note()
            return outcome
        if work is None:
            feed(position + _CHUNK)
            ended = position >= len(audio)
            if ended:
                listener.end_utterance()
            continue
        clock = max(clock, position / SAMPLE_RATE)
        note()
        begun = time.perf_counter()
        hearing = run_inline(work.flow(), engine)
        took = time.perf_counter() - begun
        outcome.busy += took
        clock += took
        if not ended:  # what was said meanwhile has come meanwhile
            feed(int(clock * SAMPLE_RATE))
        listener.take(work, hearing)
        note()


def agree(weights: Weights, audio: Audio) -> Outcome:
    """whisper_streaming's policy."""
    stream = LocalAgreement(load_model(weights.folder, threads=0, workers=1))
    outcome = Outcome()
    position, clock = 0, 0.0
    while position < len(audio):
        end = max(position + round(STEP_SECONDS * SAMPLE_RATE), int(clock * SAMPLE_RATE))
        stream.add(audio[position:end])
        position = end
        clock = max(clock, min(position, len(audio)) / SAMPLE_RATE)
        begun = time.perf_counter()
        words = stream.step()
        took = time.perf_counter() - begun
        outcome.busy += took
        clock += took
        outcome.words += [word.text for word in words]
        outcome.lags += [clock - word.end for word in words]
    outcome.words += [word.text for word in stream.finish()]
    outcome.lags += [clock - word.end for word in stream.finish()]
    return outcome


def _try(name: str, engine: Engine, weights: Weights, audio: Audio) -> Outcome:
    if name == LOCAL_AGREEMENT:
        return agree(weights, audio)
    return listen(engine, LiveOptions(language=LanguagePolicy("en"), settle=POLICIES[name]), audio)


def _tell(model: str, name: str, outcome: Outcome, speech: Speech, base: float) -> None:
    score = score_english([(speech.text, "".join(outcome.words))])
    assert score is not None
    ratio = score.wer / base if base else math.nan
    lags = [percentile(outcome.lags, share) for share in (0.5, 0.95, 0.99)]
    sys.stdout.write(
        f"{model:8} {name:16} WER {100 * score.wer:5.2f} %, {ratio:.2f} of offline; "
        f"lag p50 {lags[0]:.2f} p95 {lags[1]:.2f} p99 {lags[2]:.2f} s; "
        f"first partial {percentile(outcome.firsts, 0.5):.2f} s; load {outcome.busy / speech.seconds:.2f}\n"
    )
    sys.stdout.flush()


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.live_policy", description=__doc__)
    names = (*POLICIES, LOCAL_AGREEMENT)
    parser.add_argument("--model", action="append")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--only", action="append", choices=names)
    parser.add_argument("--recording", type=Path)
    parser.add_argument("--text", type=Path)
    told = parser.parse_args(arguments)
    if told.recording is not None:
        text = told.text.read_text(encoding="utf-8") if told.text is not None else None
        speech = Speech(told.recording.stem, read_samples(told.recording), text)
    else:
        speech = joined(long_readings(), 60 * told.minutes)
    for model in told.model or MODELS:
        weights = find_weights(model)
        with Server(weights) as server:
            base = offline(server, [speech]).wer
        say(f"{model}: offline {100 * base:.2f} %, {speech.seconds:.0f} s of {speech.name}")
        engine = load_engine(weights.folder, model=weights.name, translates=True)
        for name in told.only or names:
            outcome = _try(name, engine, weights, speech.samples)
            _tell(model, name, outcome, speech, base)
        engine.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
