"""An hour of sound while people talk to the server: 16 clips a minute and live speech beside one long job.

    python -m benchmarks.mix [--model NAME]... [--minutes 60] [--quick]

Every system does the job alone and with the clips. Latency counts from when a clip was due, not from when it
could be sent. Scriba's job comes by its queue of jobs, the clips by OpenAI's route, and the live speech
through WebSockets at the speed of time: the three classes of the scheduler, whose waits the server tells. The
baseline has no live speech, and so less to do.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import count as numbers
from pathlib import Path

from benchmarks.arguments import Arguments, parse, run
from benchmarks.cuts import cut_clips, write_clips
from benchmarks.lineup import line_up
from benchmarks.live_beside import LiveStreams
from benchmarks.recordings import Speech, long_readings, material, utterances, wav_seconds, write_joined
from benchmarks.rounds import Measured, Run, interleave, percentile, say
from benchmarks.server import AsJob, OverHttp
from benchmarks.systems import BASELINE, SCRIBA, SCRIBA_DEFAULT, Finish, System, ask
from benchmarks.tables import Column, Headline, Section

CLIPS_A_MINUTE = 16
_SECONDS = 5.0
_SEED = 11
_QUICK_SPEECHES = 8
_STREAMS = 3
"""Live streams, each heard more than once a second."""
_ALONE = " (alone)"
_COLUMNS = (
    Column("model", "model", "text"),
    Column("system", "system", "text"),
    Column("alone", "job alone s", "seconds"),
    Column("mixed", "job in the mix s", "seconds"),
    Column("share", "speed kept %", "percent"),
    Column("ratio", "x baseline", "ratio"),
    Column("clips", "clips", "count"),
    Column("idle", "a clip alone s", "seconds"),
    Column("p50", "p50 s", "seconds"),
    Column("p95", "p95 s", "seconds"),
    Column("span", "p95 least to most", "seconds"),
    Column("waiting", "p95 of waiting s", "seconds"),
    Column("live_rate", "live windows a s", "rate"),
    Column("live_wait", "p95 of their waiting s", "seconds"),
)


def due_times(a_minute: float, seed: int = _SEED) -> list[float]:
    """Seconds at which clips are due over a long time: one in each slot, anywhere in it, always the same."""
    slot, chance = 60 / a_minute, random.Random(seed)
    return [slot * (index + chance.random()) for index in range(2000)]


def alone(system: System, job: Path) -> Mapping[str, float]:
    """The job by itself."""
    return {"seconds": ask(system, job).seconds}


def mixed(long: System, system: System, job: Path, clips: Sequence[Path]) -> Mapping[str, float]:
    """The job given to ``long``, and clips to ``system`` for as long as it runs."""
    began = time.perf_counter()
    done = Finish(long.submit(job))
    sent: list[tuple[Finish, float]] = []
    for index, due in zip(numbers(), due_times(CLIPS_A_MINUTE), strict=False):
        while time.perf_counter() - began < due and not done.future.done():
            time.sleep(0.005)
        if done.future.done():
            break
        sent.append((Finish(system.submit(clips[index % len(clips)])), began + due))
    seconds = done.wait() - began
    latencies = [finish.wait() - due for finish, due in sent]
    return {
        "seconds": seconds,
        "clips": float(len(latencies)),
        "p50": percentile(latencies, 0.5),
        "p95": percentile(latencies, 0.95),
    }


def with_live(run_mixed: Run, http: OverHttp, url: str, speech: Speech) -> Mapping[str, float]:
    """The same beside live streams, and what those waited for the device."""
    before, began = http.load()["live"]["begun"], time.perf_counter()
    with LiveStreams(url, speech, _STREAMS):
        values = dict(run_mixed())
    live = http.load()["live"]
    rate = (live["begun"] - before) / (time.perf_counter() - began)
    return values | {"live_rate": rate, "live_wait": live["wait_p95"]}


def measure(arguments: Arguments) -> Section:
    """Every model, every system, alone and mixed, interleaved."""
    title = (
        f"A job of {arguments.minutes:g} min and {CLIPS_A_MINUTE} clips of {_SECONDS:g} s a minute, over HTTP"
    )
    section = Section("mix", title, _COLUMNS)
    speeches = utterances()[:_QUICK_SPEECHES] if arguments.quick else utterances()
    with tempfile.TemporaryDirectory(prefix="scriba-bench-") as folder:
        cut = cut_clips(speeches, (_SECONDS,))[_SECONDS]
        clips = [path for path, _ in write_clips(Path(folder), cut, _SECONDS)]
        talk = max(long_readings(), key=lambda speech: speech.seconds)
        job = Path(folder) / "job.wav"
        write_joined(job, material(), 60 * arguments.minutes)
        for model in arguments.models:
            with line_up(model, arguments, batched=False) as lineup:
                systems = {name: lineup.systems[name] for name in (BASELINE, SCRIBA, SCRIBA_DEFAULT)}
                idle = {name: _idle_latency(system, clips) for name, system in systems.items()}
                say(f"{model}: a job of {wav_seconds(job):.0f} s")
                runs: dict[str, Run] = {}
                queued = {
                    SCRIBA: AsJob(lineup.server, beam_size=1),
                    SCRIBA_DEFAULT: AsJob(lineup.server),
                }
                http = OverHttp(lineup.server)
                for name, system in systems.items():
                    long = queued.get(name, system)
                    runs[name + _ALONE] = partial(alone, long, job)
                    runs[name] = partial(mixed, long, system, job, clips)
                    if name in queued:
                        runs[name] = partial(with_live, runs[name], http, lineup.server.url, talk)
                measured = interleave(runs, arguments.rounds)
                section.rows += rows(model, measured, idle)
                section.headlines.append(headline(model, measured))
    section.notes.append(
        f"Baseline: {BASELINE}, a thread for each request. Waiting is the latency less that of a clip alone."
    )
    section.notes.append(
        f"Scriba also hears {_STREAMS} live streams meanwhile. What their steps (encode, decode) wait is "
        "told by the server, /load."
    )
    return section


def _idle_latency(system: System, clips: Sequence[Path]) -> float:
    """The median clip on an idle system."""
    return percentile([ask(system, path).seconds for path in clips[:5]], 0.5)


def rows(model: str, measured: Measured, idle: Mapping[str, float]) -> list[dict[str, object]]:
    """A row for each system."""
    baseline = measured[BASELINE]["p95"].median
    found: list[dict[str, object]] = []
    for name, latency in idle.items():
        by_itself, series = measured[name + _ALONE]["seconds"].median, measured[name]
        p95 = series["p95"].median
        found.append(
            {
                "model": model,
                "system": name,
                "alone": by_itself,
                "mixed": series["seconds"].median,
                "share": by_itself / series["seconds"].median,
                "ratio": baseline / p95,
                "clips": series["clips"].median,
                "idle": latency,
                "p50": series["p50"].median,
                "p95": p95,
                "span": series["p95"].span,
                "waiting": max(0.0, p95 - latency),
                "live_rate": series["live_rate"].median if "live_rate" in series else None,
                "live_wait": series["live_wait"].median if "live_wait" in series else None,
            }
        )
    return found


def headline(model: str, measured: Measured) -> Headline:
    """What a clip waits beside the job, and what the job loses."""
    own, base = measured[SCRIBA_DEFAULT], measured[BASELINE]
    kept = measured[SCRIBA_DEFAULT + _ALONE]["seconds"].median / own["seconds"].median
    finding = (
        f"a live step waits {1000 * own['live_wait'].median:.0f} ms at p95; "
        f"a clip's p95 {own['p95'].median:.2f} against {base['p95'].median:.2f} s; "
        f"the job keeps {100 * kept:.0f} % of its speed"
    )
    return Headline("a long job, 16 clips a minute and live speech, as it comes", model, finding)


if __name__ == "__main__":
    sys.exit(run(measure, parse("mix", "A long job beside interactive clips.", minutes=60)))
