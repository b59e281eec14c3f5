"""The files that other machines are started with."""

from __future__ import annotations

import configparser
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scriba.server.setting_sources import setting_fields
from tests.debian import installed

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
LINTER = "dclint@3"


def test_the_compose_file_passes_its_linter(tmp_path: Path) -> None:
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    (tmp_path / "package.json").write_text("{}")
    command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", LINTER]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode != 0:
        pytest.skip(f"{LINTER} could not be installed: {done.stderr.strip()[-200:]}")
    linter = tmp_path / "node_modules" / ".bin" / "dclint"
    checked = subprocess.run(
        [str(linter), "--max-warnings", "0", str(DEPLOY / "compose.yaml")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("name", ["scriba-web", "scriba-worker"])
def test_units_start_what_there_is(name: str) -> None:
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(DEPLOY / "systemd" / f"{name}.service")
    command = unit["Service"]["ExecStart"].split()
    assert command[0].endswith("/.venv/bin/scriba")
    assert command[1:] == (["serve", "--no-worker"] if name == "scriba-web" else ["worker"])
    assert unit["Service"]["Restart"] == "always"


@pytest.mark.parametrize("name", ["scriba-web", "scriba-worker"])
def test_systemd_takes_the_units(name: str, tmp_path: Path) -> None:
    analyze = installed("systemd", lambda: shutil.which("systemd-analyze"))
    unit = (DEPLOY / "systemd" / f"{name}.service").read_text()
    # Of a machine where it is installed; the rest is as it stands.
    program = "/srv/scriba/.venv/bin/scriba"
    assert program in unit
    (tmp_path / f"{name}.service").write_text(unit.replace(program, sys.executable))
    command = [analyze, "verify", str(tmp_path / f"{name}.service")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    # An unknown key is told, and none the less not counted as a failure.
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_every_setting_in_the_files_exists() -> None:
    known = {field.env for field in setting_fields()}
    for path in DEPLOY.rglob("*"):
        if path.is_file():
            for word in path.read_text().replace(":", " ").replace("=", " ").split():
                if word.startswith(("SCRIBA_", "DB_URL")):
                    assert word in known, f"{path.name}: {word}"
