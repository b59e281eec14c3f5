"""Memory: idle with each model, and with ten hours of sound.

    python -m benchmarks.memory [--model NAME]... [--hours 10] [--quick]

The long recording is made here: ten minutes of speech as Opus, its packets repeated. The baseline keeps a
whole recording in memory, so it gets a tenth of the length. One run each: memory does not vary as time does.
"""

from __future__ import annotations

import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import psutil

from benchmarks.arguments import Arguments, parse, run
from benchmarks.baselines import SEQUENTIAL, Baseline, BaselineProcess
from benchmarks.recordings import Samples, join, material, write_repeated_opus, write_wav
from benchmarks.rounds import say
from benchmarks.server import OverHttp, Server
from benchmarks.systems import BASELINE, SCRIBA_DEFAULT, System, ask
from benchmarks.tables import Column, Headline, Section
from benchmarks.weights import Weights, find_weights

_LOOP_SECONDS, _QUICK_LOOP_SECONDS = 600.0, 60.0
_BASELINE_SHARE = 0.1
_COLUMNS = (
    Column("model", "model", "text"),
    Column("system", "system", "text"),
    Column("idle", "idle MB", "megabytes"),
    Column("used", "after 30 s of sound MB", "megabytes"),
    Column("hours", "hours of sound", "number"),
    Column("peak", "peak MB", "megabytes"),
    Column("above", "above idle MB", "megabytes"),
    Column("above_used", "above after 30 s MB", "megabytes"),
    Column("speed", "x real time", "rate"),
)


def resident(pid: int) -> int:
    """Bytes of memory that a process and its children hold now."""
    total = 0
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for one in [process, *process.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                total += one.memory_info().rss
    return total


class Peak:
    """The most that a process held while this was open: sampled, and by the kernel's own mark if any."""

    def __init__(self, pid: int, interval: float = 0.1) -> None:
        self._pid = pid
        self._interval = interval
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._marked = False
        self.bytes = 0

    def __enter__(self) -> Self:
        with suppress(OSError):
            # 5 sets the high-water mark back to what is resident now (proc(5)).
            Path(f"/proc/{self._pid}/clear_refs").write_text("5", encoding="ascii")
            self._marked = True
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        if self._marked:
            self.bytes = max(self.bytes, _high_water_mark(self._pid))

    def _sample(self) -> None:
        while True:
            self.bytes = max(self.bytes, resident(self._pid))
            if self._stop.wait(self._interval):
                return


def _high_water_mark(pid: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def one_system(system: System, pid: int, warm_up: Path, recording: Path, hours: float) -> dict[str, object]:
    """Idle, after a little work, and the peak over the recording."""
    idle = resident(pid)
    ask(system, warm_up)
    used = resident(pid)
    with Peak(pid) as peak:
        answer = ask(system, recording)
    return {
        "idle": idle,
        "used": used,
        "hours": hours,
        "peak": peak.bytes,
        "above": peak.bytes - idle,
        "above_used": max(0, peak.bytes - used),
        "speed": 3600 * hours / answer.seconds,
    }


def measure(arguments: Arguments) -> Section:
    """Every model: the server, then the baseline, each alone in memory."""
    section = Section("memory", "Memory", _COLUMNS)
    loop = _loop(_QUICK_LOOP_SECONDS if arguments.quick else _LOOP_SECONDS)
    hours, less = arguments.hours, arguments.hours * _BASELINE_SHARE
    with tempfile.TemporaryDirectory(prefix="scriba-bench-") as name:
        folder = Path(name)
        say(f"Making {hours:g} hours of sound")
        long, shorter, warm_up = folder / "long.opus", folder / "shorter.opus", folder / "warm-up.wav"
        write_repeated_opus(long, loop, 3600 * hours)
        write_repeated_opus(shorter, loop, 3600 * less)
        write_wav(warm_up, loop[: 30 * 16_000])
        for model in arguments.models:
            weights = find_weights(model)
            own = _own(weights, arguments, warm_up, long)
            section.rows.append({"model": model, "system": SCRIBA_DEFAULT} | own)
            other = _baseline(weights, arguments, warm_up, shorter, less)
            section.rows.append({"model": model, "system": BASELINE} | other)
            section.headlines.append(_headline(model, own, other, hours))
    section.notes.append(
        "Resident memory of the process and its children, shared libraries included; one run each. "
        f"{BASELINE} gets a tenth of the length, since it holds the whole recording in memory."
    )
    return section


def _own(weights: Weights, arguments: Arguments, warm_up: Path, recording: Path) -> dict[str, object]:
    with Server(weights, arguments.settings) as server:
        say(f"{weights.name}: {arguments.hours:g} hours over HTTP")
        client = OverHttp(server)
        try:
            return one_system(client, server.pid, warm_up, recording, arguments.hours)
        finally:
            client.close()


def _baseline(
    weights: Weights, arguments: Arguments, warm_up: Path, recording: Path, hours: float
) -> dict[str, object]:
    with BaselineProcess("faster-whisper", weights.folder, threads=arguments.threads or None) as process:
        say(f"{weights.name}: {hours:g} hours with the baseline")
        return one_system(Baseline(process, SEQUENTIAL), process.pid, warm_up, recording, hours)


def _headline(model: str, own: dict[str, object], other: dict[str, object], hours: float) -> Headline:
    megabytes = {name: f"{float(str(value)) / 1e6:.0f}" for name, value in own.items()}
    idle = float(str(other["idle"])) / 1e6
    finding = f"idle {megabytes['idle']} MB (baseline {idle:.0f}), at most {megabytes['above']} MB more"
    return Headline(f"memory with {hours:g} hours of sound, as it comes", model, finding)


def _loop(seconds: float) -> Samples:
    return np.concatenate([part.samples for part in join(material(), seconds)])


if __name__ == "__main__":
    sys.exit(run(measure, parse("memory", "Memory: idle, and with ten hours of sound.")))
