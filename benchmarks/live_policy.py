"""Settle policies on virtual time: what each costs in words and seconds, without sockets and without waiting.

    python -m benchmarks.live_policy RECORDING TEXT [--model NAME] [NAME=VALUE]...

``RECORDING`` is any media file, ``TEXT`` a file with what is said in it; ``NAME=VALUE`` sets a field of
``SettlePolicy``. The stream is fed as fast as it is heard; each hearing takes the time that it took, so that
lags are those of one stream on this machine with nothing else to do.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import cast

from benchmarks.recordings import read_samples
from benchmarks.rounds import percentile, say
from benchmarks.scores import score_english
from benchmarks.weights import find_weights
from scriba.domain.media import SAMPLE_RATE
from scriba.domain.options import LanguagePolicy
from scriba.engine.ctranslate2 import CTranslate2Engine
from scriba.engine.port import Audio, Engine
from scriba.engine.steps import run_inline
from scriba.live.events import Partial, Settled, SpeechStarted
from scriba.live.listener import Listener
from scriba.live.options import LiveOptions, SettlePolicy

_CHUNK = SAMPLE_RATE // 10


class Trial:
    """One recording through one listener."""

    def __init__(self, engine: Engine, policy: SettlePolicy) -> None:
        options = LiveOptions(language=LanguagePolicy("en"), settle=policy)
        self._listener = Listener(options, engine.capabilities.languages)
        self._engine = engine
        self._started: float | None = None
        self.words: list[str] = []
        self.lags: list[float] = []
        self.firsts: list[float] = []
        self.busy = 0.0

    def run(self, audio: Audio) -> None:
        """``clock`` is the moment, in seconds of the stream, at which the last hearing was done."""
        position, clock, ended = 0, 0.0, False
        while True:
            work = self._listener.next_work()
            if work is None and ended:
                self._note(clock)
                return
            if work is None:
                position = self._feed(audio, position, position + _CHUNK)
                ended = position >= len(audio)
                if ended:
                    self._listener.end_utterance()
                continue
            clock = max(clock, position / SAMPLE_RATE)
            self._note(clock)
            begun = time.perf_counter()
            hearing = run_inline(work.flow(), self._engine)
            took = time.perf_counter() - begun
            self.busy += took
            clock += took
            if not ended:  # what was said meanwhile has come meanwhile
                position = self._feed(audio, position, int(clock * SAMPLE_RATE))
            self._listener.take(work, hearing)
            self._note(clock)

    def _feed(self, audio: Audio, start: int, end: int) -> int:
        while start < min(end, len(audio)):
            self._listener.hear(audio[start : start + _CHUNK])
            start += _CHUNK
        return start

    def _note(self, clock: float) -> None:
        for event in self._listener.events():
            match event:
                case SpeechStarted(at):
                    self._started = at
                case Settled(words, _):
                    self.words += [word.text for word in words]
                    self.lags += [clock - word.end for word in words]
                case Partial(_, _, text) if self._started is not None and text.strip():
                    self.firsts.append(clock - self._started)
                    self._started = None
                case _:
                    pass


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.live_policy", description=__doc__)
    parser.add_argument("recording", type=Path)
    parser.add_argument("text", type=Path)
    parser.add_argument("--model", default="tiny.en")
    parser.add_argument("fields", nargs="*", metavar="NAME=VALUE")
    told = parser.parse_args(arguments)
    fields = {name: float(value) for name, _, value in (field.partition("=") for field in told.fields)}
    policy = replace(SettlePolicy(), **fields)
    weights = find_weights(told.model)
    engine = CTranslate2Engine(weights.folder, model=weights.name)
    audio = read_samples(told.recording)
    trial = Trial(cast(Engine, engine), policy)
    trial.run(audio)
    score = score_english([(told.text.read_text(encoding="utf-8"), "".join(trial.words))])
    assert score is not None
    lags = [percentile(trial.lags, share) for share in (0.5, 0.95, 0.99)]
    say(
        f"WER {100 * score.wer:.2f} %  lag p50 {lags[0]:.2f} p95 {lags[1]:.2f} p99 {lags[2]:.2f} s  "
        f"first {percentile(trial.firsts, 0.5):.2f} s  load {trial.busy * SAMPLE_RATE / len(audio):.2f}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
