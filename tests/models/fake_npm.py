"""A command that answers as npm does, for tests without a registry."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

_SCRIPT = """#!{python}
import json, os, shutil, sys, time
plan = json.load(open({plan!r}))
with open({log!r}, "a") as log:
    call = {{"arguments": sys.argv[1:], "cwd": os.listdir("."), "stdin": sys.stdin.read()}}
    log.write(json.dumps(call) + "\\n")
command = sys.argv[1]
step = plan.get(command, {{}})
time.sleep(step.get("seconds", 0))
if step.get("code"):
    sys.stderr.write("npm error code %s\\nnpm error a long story about /home/me\\n" % step["code"])
    sys.exit(1)
if command == "view":
    print("2065abb28c85790ddd11b56c0a1a1339fb7b8a47")
elif command == "config":
    print(plan["cache"])
elif command == "pack":
    growing = os.path.join(plan["cache"], "_cacache", "tmp", "x")
    os.makedirs(os.path.dirname(growing), exist_ok=True)
    data = open(plan["tarball"], "rb").read()
    with open(growing, "wb") as file:
        file.write(data[: len(data) // 2]); file.flush()
        time.sleep(step.get("halfway", 0))
        file.write(data[len(data) // 2 :])
    shutil.move(growing, "it-1.0.0.tgz")
    print("it-1.0.0.tgz")
"""


class FakeNpm:
    """Put into a directory; ``program`` is to be called. ``plan`` says how each command shall end."""

    def __init__(self, directory: Path, tarball: Path) -> None:
        self.program = str(directory / "npm")
        self._plan, self._log = directory / "plan.json", directory / "log.jsonl"
        self._facts = {"tarball": str(tarball), "cache": str(directory / "npm-cache")}
        script = _SCRIPT.format(python=sys.executable, plan=str(self._plan), log=str(self._log))
        Path(self.program).write_text(script)
        Path(self.program).chmod(0o755)
        self.plan()

    def plan(self, **steps: Mapping[str, object]) -> None:
        self._plan.write_text(json.dumps({**self._facts, **steps}))

    def calls(self) -> list[dict[str, object]]:
        lines = self._log.read_text().splitlines() if self._log.exists() else []
        return [json.loads(line) for line in lines]

    def commands(self) -> list[str]:
        return [str(call["arguments"][0]) for call in self.calls()]  # type: ignore[index]
