"""The systems of one model, started together and stopped together."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from benchmarks.arguments import Arguments
from benchmarks.baselines import (
    BATCHED_8,
    BATCHED_16,
    SEQUENTIAL,
    SEQUENTIAL_BEAM_5,
    Baseline,
    BaselineProcess,
)
from benchmarks.rounds import say
from benchmarks.server import OverHttp, Server
from benchmarks.systems import BASELINE, SCRIBA, SCRIBA_DEFAULT, System
from benchmarks.weights import Weights, find_weights


@dataclass(slots=True)
class Lineup:
    """Every system by its name in the tables; ``server`` and ``baseline`` are processes behind them."""

    weights: Weights
    server: Server
    baseline: BaselineProcess
    systems: dict[str, System] = field(default_factory=dict)


@contextmanager
def line_up(model: str, arguments: Arguments, *, batched: bool = True) -> Generator[Lineup]:
    """Start Scriba's server, the baseline, and the other engines that were asked for, with the same model.

    The other engines bring weights of their own format: that they are of the same model is the caller's word.
    """
    with ExitStack() as stack:
        weights = find_weights(model)
        say(f"{model}: starting the server and the baseline")
        server = stack.enter_context(Server(weights, arguments.settings))
        threads = arguments.threads or None
        baseline = stack.enter_context(BaselineProcess("faster-whisper", weights.folder, threads=threads))
        greedy, default = OverHttp(server, beam_size=1), OverHttp(server)
        stack.callback(greedy.close)
        stack.callback(default.close)
        systems: dict[str, System] = {
            BASELINE: Baseline(baseline, SEQUENTIAL),
            "faster-whisper, beam 5": Baseline(baseline, SEQUENTIAL_BEAM_5),
        }
        if batched:
            systems["faster-whisper, batched 8, beam 1"] = Baseline(baseline, BATCHED_8)
            systems["faster-whisper, batched 16, beam 1"] = Baseline(baseline, BATCHED_16)
        for name, path in arguments.others.items():
            other = stack.enter_context(BaselineProcess(name, path, threads=threads))
            systems[name] = Baseline(other, {})
        systems[SCRIBA] = greedy
        systems[SCRIBA_DEFAULT] = default
        yield Lineup(weights, server, baseline, systems)
