"""``make bench``: every benchmark, each in a process of its own, and then the report.

    python -m benchmarks [--quick] [FLAGS OF THE COMMANDS]

``--quick`` runs a little of each once, in minutes, and changes no document.
"""

from __future__ import annotations

import subprocess
import sys

from benchmarks import report
from benchmarks.arguments import parse
from benchmarks.results import RESULTS, ROOT
from benchmarks.rounds import say

COMMANDS = ("long_recording", "clips", "together", "mix", "memory", "limit")


def main(arguments: list[str]) -> int:
    """Run all; one that fails does not keep the others from running."""
    told = parse("__main__", "Every benchmark, and the report.", arguments)
    failed: list[str] = []
    for name in COMMANDS:
        say(f"\n== {name}")
        done = subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *arguments], cwd=ROOT, check=False)
        if done.returncode:
            failed.append(name)
    if failed:
        say(f"Failed: {', '.join(failed)}. The documents stay as they are.")
        return 1
    return report.main() if told.output == RESULTS else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
