"""The files that other machines are started with."""

from __future__ import annotations

import configparser
import shutil
import subprocess
from pathlib import Path

import pytest

from scriba.server.setting_sources import setting_fields

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


def test_every_setting_in_the_files_exists() -> None:
    known = {field.env for field in setting_fields()}
    for path in DEPLOY.rglob("*"):
        if path.is_file():
            for word in path.read_text().replace(":", " ").replace("=", " ").split():
                if word.startswith(("SCRIBA_", "DB_URL")):
                    assert word in known, f"{path.name}: {word}"
