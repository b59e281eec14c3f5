"""Write the lock files of requirements/, or check that they are fresh and hold nothing but hashed pins.

    python scripts/locks.py write UV [--upgrade]    compile all of them with the uv program at UV
    python scripts/locks.py check                   fail when one is stale or names an address; no network

A lock's first line carries a digest of what was asked for, so that a changed pyproject.toml is noticed
without asking a package index. Standard library only: it also runs before anything is installed.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADER = "# Written by `make lock`; do not edit. Asked for: sha256 "
PIN = r"[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9.!+]+(?: ; [^\\]+)?"
HASH = r"    --hash=sha256:[0-9a-f]{64}"
LINE = re.compile(rf"#.*|(?:{PIN}|{HASH})(?: \\)?")
"""A comment, a pin with or without a marker, or a hash: all that a lock may hold."""


@dataclass(frozen=True)
class Lock:
    """One lock file, what it is compiled from, and the lock ``within`` whose versions it must agree with."""

    name: str
    requirements: tuple[str, ...]
    within: str | None = None

    def path(self, root: Path) -> Path:
        return root / "requirements" / f"{self.name}.txt"

    def digest(self, requires_python: str) -> str:
        """SHA-256 over the requirements, whatever their order."""
        asked = json.dumps([requires_python, *sorted(self.requirements)])
        return hashlib.sha256(asked.encode()).hexdigest()


def _plain(path: Path) -> tuple[str, ...]:
    lines = (line.split("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return tuple(line for line in lines if line)


def locks(root: Path) -> tuple[str, tuple[Lock, ...]]:
    """The lowest Python that is supported, and every lock file in the order they are compiled."""
    document = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    project = document["project"]
    runtime = tuple(project["dependencies"])
    bench = tuple(project["optional-dependencies"]["bench"])
    dev = tuple(document["dependency-groups"]["dev"])
    benchmarks = tuple(document["dependency-groups"]["benchmarks"])
    built = (
        Lock("dev", runtime + bench + dev),
        Lock("bench", runtime + bench, within="dev"),
        Lock("benchmarks", runtime + benchmarks, within="dev"),
        Lock("runtime", runtime, within="dev"),
        Lock("build", _plain(root / "requirements" / "build.in"), within="dev"),
        Lock("uv", _plain(root / "requirements" / "uv.in")),
    )
    return project["requires-python"].removeprefix(">="), built


def write(root: Path, uv: str, *, upgrade: bool) -> None:
    """Compile every lock. Pins that still fit stay as they are, unless ``upgrade``."""
    python, every = locks(root)
    for lock in every:
        output = lock.path(root)
        with tempfile.TemporaryDirectory() as folder:
            asked = Path(folder) / "asked.in"
            asked.write_text("\n".join(lock.requirements) + "\n", encoding="utf-8")
            command = [uv, "pip", "compile", str(asked), "--output-file", str(output), "--quiet"]
            command += ["--universal", "--fork-strategy", "fewest", "--python-version", python]
            command += ["--generate-hashes", "--no-annotate", "--no-header"]
            command += ["--no-emit-index-url", "--no-emit-find-links"]
            if lock.within:
                command += ["--constraint", str(root / "requirements" / f"{lock.within}.txt")]
            if upgrade:
                command.append("--upgrade")
            subprocess.run(command, check=True)  # noqa: S603 - the program is the caller's
        pins = output.read_text(encoding="utf-8")
        output.write_text(f"{HEADER}{lock.digest(python)}\n{pins}", encoding="utf-8")


def faults(root: Path) -> list[str]:
    """What is wrong with the lock files, one sentence each."""
    found: list[str] = []
    python, every = locks(root)
    for lock in every:
        path = lock.path(root)
        if not path.is_file():
            found.append(f"requirements/{lock.name}.txt is missing: run `make lock`.")
            continue
        lines = path.read_text(encoding="utf-8").splitlines()
        if not lines or lines[0] != HEADER + lock.digest(python):
            found.append(f"requirements/{lock.name}.txt is older than what it locks: run `make lock`.")
        for number, line in enumerate(lines, 1):
            place = f"requirements/{lock.name}.txt:{number}"
            if not LINE.fullmatch(line):
                found.append(f"{place} is neither a pin nor a hash: {line.strip()}")
            if "://" in line:
                found.append(f"{place} names an address.")
    return found


def main(arguments: list[str]) -> int:
    match arguments:
        case ["write", uv, *rest] if rest in ([], ["--upgrade"]):
            write(ROOT, uv, upgrade=bool(rest))
            return 0
        case ["check"]:
            found = faults(ROOT)
            sys.stderr.writelines(fault + "\n" for fault in found)
            return 1 if found else 0
        case _:
            sys.stderr.write(f"{__doc__}\n")
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
