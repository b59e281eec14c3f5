"""The commands a person starts with."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MAKELEVEL"}
    }
    return subprocess.run(
        ["make", "-C", str(ROOT), "--no-print-directory", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=environment,
    )


def test_help_names_every_target() -> None:
    phony = re.search(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE)
    assert phony
    told = make().stdout
    assert [target for target in phony.group(1).split() if f"make {target} " not in told] == []


def test_a_python_that_is_too_old_is_told(tmp_path: Path) -> None:
    old = tmp_path / "python"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    result = make("install", f"VENV={tmp_path / 'venv'}", f"PYTHON={old}")
    assert result.returncode != 0
    assert "Scriba needs Python 3.11 or later" in result.stderr
    assert not (tmp_path / "venv").exists()


def test_everything_is_installed_by_hash_and_nothing_twice(tmp_path: Path) -> None:
    steps = make("--dry-run", "install", f"VENV={tmp_path / 'venv'}").stdout
    installs = [line for line in steps.splitlines() if " install " in line and "pip" in line]
    assert len(installs) == 3
    assert all("--require-hashes" in line or "--no-index --editable ." in line for line in installs)
    assert all("--no-deps" in line for line in installs)

    stamps = tmp_path / "venv" / ".stamps"
    stamps.mkdir(parents=True)
    for name in ("venv", "build", "runtime", "scriba"):
        (stamps / name).touch()
    assert "pip" not in make("--dry-run", "install", f"VENV={tmp_path / 'venv'}").stdout


def test_continuous_integration_runs_the_same_commands() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    commands = [line for line in script.read_text(encoding="utf-8").splitlines() if line.startswith("make ")]
    assert commands == ["make check", "make test"]
