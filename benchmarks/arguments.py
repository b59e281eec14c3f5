"""What every command can be told."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from benchmarks import results
from benchmarks.baseline_worker import ENGINES
from benchmarks.baselines import BaselineError
from benchmarks.recordings import NoSpeechError
from benchmarks.rounds import QUOTABLE_ROUNDS, say
from benchmarks.server import ServerError
from benchmarks.tables import Section, plain
from scriba.domain.errors import ScribaError
from scriba.server.setting_sources import SettingsError

MODELS = ("tiny.en", "base")
OTHERS = tuple(name for name in ENGINES if name != "faster-whisper")


@dataclass(frozen=True, slots=True)
class Arguments:
    """``settings`` are the server's; ``others`` are weights by the name of another engine."""

    models: tuple[str, ...] = MODELS
    rounds: int = QUOTABLE_ROUNDS
    quick: bool = False
    output: Path = results.RESULTS
    threads: int = 0
    settings: Mapping[str, str] = field(default_factory=dict)
    others: Mapping[str, Path] = field(default_factory=dict)
    hours: float = 10.0
    minutes: float = 30.0
    peers: Path | None = None


def parse(
    program: str,
    about: str,
    arguments: list[str] | None = None,
    *,
    hours: float = 10.0,
    minutes: float = 30.0,
) -> Arguments:
    """Read the command line; ends the process on what is wrong with it."""
    parser = argparse.ArgumentParser(f"python -m benchmarks.{program}", description=about)
    parser.add_argument(
        "--model", action="append", metavar="NAME", help="may be repeated; tiny.en and base else"
    )
    parser.add_argument("--rounds", type=_positive, metavar="N", help=f"{QUOTABLE_ROUNDS} unless --quick")
    parser.add_argument(
        "--quick", action="store_true", help="one round of little: does it run? Not to be quoted"
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="where results.json is kept")
    parser.add_argument("--threads", type=_positive, metavar="N", help="of the other engines; all cores else")
    parser.add_argument(
        "--set", action="append", default=[], type=_pair, metavar="NAME=VALUE", help="a setting of the server"
    )
    parser.add_argument(
        "--with",
        action="append",
        default=[],
        type=_engine,
        dest="others",
        metavar="ENGINE=WEIGHTS",
        help=f"compare with another engine too: {', '.join(OTHERS)}",
    )
    parser.add_argument(
        "--hours", type=_size, metavar="H", help=f"the ten-hour recording's length; {hours:g} else"
    )
    parser.add_argument(
        "--minutes", type=_size, metavar="M", help=f"the long recording's length; {minutes:g} else"
    )
    parser.add_argument(
        "--peers", type=Path, metavar="PYTHON", help="live only: the interpreter that has other live servers"
    )
    told = parser.parse_args(arguments)
    quick: bool = told.quick
    models = tuple(told.model or (MODELS[:1] if quick else MODELS))
    if told.others and len(models) != 1:
        parser.error("--with names weights of one model: name that model with --model, once")
    return Arguments(
        models=models,
        rounds=told.rounds or (1 if quick else QUOTABLE_ROUNDS),
        quick=quick,
        output=told.output or (results.QUICK_RESULTS if quick else results.RESULTS),
        threads=told.threads or 0,
        settings=dict(told.set),
        others=dict(told.others),
        hours=told.hours or (hours / 100 if quick else hours),
        minutes=told.minutes or (min(minutes, 1.0) if quick else minutes),
        peers=told.peers,
    )


def run(command: Callable[[Arguments], Section], arguments: Arguments) -> int:
    """Measure, print the table, and keep it."""
    try:
        section = command(arguments)
    except (ScribaError, SettingsError, ServerError, BaselineError, NoSpeechError) as error:
        say(f"Stopped: {error}")
        return 1
    if arguments.rounds < QUOTABLE_ROUNDS:
        section.notes.append(f"{arguments.rounds} of {QUOTABLE_ROUNDS} rounds: not to be quoted.")
    if arguments.settings:
        told = ", ".join(f"{name}={value}" for name, value in arguments.settings.items())
        section.notes.append(f"The server ran with {told}.")
    sys.stdout.write(plain(section))
    results.keep(section, arguments.output, arguments.rounds)
    return 0


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {value}")
    return value


def _size(text: str) -> float:
    value = float(text)
    if not 0 < value <= 1000:
        raise argparse.ArgumentTypeError(f"must be over 0 and at most 1000, not {value:g}")
    return value


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise argparse.ArgumentTypeError(f"must be NAME=VALUE, not {text!r}")
    return name.lower().removeprefix("scriba_"), value


def _engine(text: str) -> tuple[str, Path]:
    name, weights = _pair(text)
    if name not in OTHERS:
        raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(OTHERS)}")
    _, module, package = ENGINES[name]
    if find_spec(module) is None:
        raise argparse.ArgumentTypeError(f"{package} is not installed here: pip install {package}")
    if not Path(weights).exists():
        raise argparse.ArgumentTypeError(f"{name}: there is no {weights!r}")
    return name, Path(weights).absolute()
