"""The program as it is started: version, start-up time, settings, errors."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

import scriba
from scriba.cli import main

Captured = pytest.CaptureFixture[str]


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "scriba", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, **environment},
    )


def test_version() -> None:
    result = run("--version")
    assert (result.returncode, result.stdout, result.stderr) == (0, f"scriba {scriba.__version__}\n", "")


def test_the_installed_program_is_the_same() -> None:
    program = Path(sys.executable).with_name("scriba")
    result = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout == f"scriba {scriba.__version__}\n"


def test_starting_loads_nothing_heavy() -> None:
    script = "import sys; from scriba.cli.app import app; print(*sorted(sys.modules), sep='\\n')"
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    loaded = set(result.stdout.split())
    assert "scriba.cli.transcribe" in loaded
    heavy = {"numpy", "av", "ctranslate2", "onnxruntime", "fastapi", "pydantic", "huggingface_hub", "rich"}
    assert not heavy & loaded


def test_starting_is_quick() -> None:
    """0.15 s on two quiet cores; the best of five, for a machine that does other things beside."""
    taken = []
    for _ in range(5):
        began = time.perf_counter()
        run("--version")
        taken.append(time.perf_counter() - began)
    assert min(taken) < 0.6, taken


@pytest.mark.parametrize(
    "arguments", [[], ["transcribe"], ["models"], ["bench"], ["nonsense"], ["--nonsense"]]
)
def test_wrong_usage_is_told_in_plain_words(arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.returncode == 2
    assert "Usage: scriba" in result.stdout + result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    "command", [[], ["serve"], ["transcribe"], ["models"], ["models", "pull"], ["settings"], ["bench", "wer"]]
)
def test_every_command_explains_itself(command: list[str]) -> None:
    result = run(*command, "--help")
    assert result.returncode == 0
    assert result.stdout.startswith("Usage: scriba")


def test_settings_say_where_they_come_from_and_mask_secrets(
    monkeypatch: pytest.MonkeyPatch, working_folder: Path, capsys: Captured
) -> None:
    monkeypatch.setenv("SCRIBA_PORT", "9001")
    monkeypatch.setenv("SCRIBA_API_KEYS", "a-very-secret-key")
    (working_folder / ".env").write_text("SCRIBA_MODEL=small\nHF_TOKEN=another-secret\n")
    assert main(["settings"]) == 0
    printed = capsys.readouterr().out
    lines = dict(line.split("  # ") for line in printed.splitlines())
    found = {key.strip(): source for key, source in lines.items()}
    assert found["SCRIBA_PORT=9001"] == "environment"
    assert found["SCRIBA_MODEL=small"] == ".env"
    assert found["SCRIBA_HOST=127.0.0.1"] == "default"
    assert "secret" not in printed

    assert main(["settings", "--json"]) == 0
    rows = {row["env"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["SCRIBA_PORT"]["value"] == "9001"
    assert "secret" not in str([row["value"] for row in rows.values()])


@pytest.mark.parametrize("command", [["settings"], ["serve"], ["models", "list"], ["transcribe", __file__]])
def test_a_wrong_setting_is_named(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setenv("SCRIBA_PORT", "high")
    assert main(command) == 2
    told = capsys.readouterr().err
    assert told.startswith("scriba: SCRIBA_PORT")
    assert told.count("\n") == 1


def test_a_stack_trace_is_shown_only_when_asked_for(tmp_path: Path) -> None:
    script = (
        "import sys, scriba.cli.settings as s\n"
        "def boom(*a): raise RuntimeError('inner')\n"
        "import scriba.server.setting_sources as m; m.load_settings = boom\n"
        "from scriba.cli import main; sys.exit(main(['settings']))\n"
    )
    for debug, shown in (("", False), ("1", True)):
        result = subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**os.environ, "SCRIBA_DEBUG": debug},
        )
        assert result.returncode == 1
        assert ("Traceback" in result.stderr) is shown
        assert ("SCRIBA_DEBUG=1" in result.stderr) is not shown


def test_a_reader_that_goes_away_is_no_fault() -> None:
    command = f"{sys.executable} -m scriba settings | head -c 1"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=True)
    assert result.stderr == ""


def test_models_that_part_voice_from_music_are_listed_with_their_licence(capsys: Captured) -> None:
    assert main(["models", "list"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"^gtcrn +voice from music +1 MB, bundled +-$", said, re.MULTILINE)
    assert re.search(r"^htdemucs +voice from music +- +npm$", said, re.MULTILINE)
    assert "  htdemucs: personal and research use only\n" in said
    assert main(["models", "pull", "GTCRN"]) == 0
    assert "gtcrn is installed (1 MB, from bundled). Licence: MIT." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "says"),
    [("gtcrn", "comes with Scriba"), ("htdemucs", "is not installed"), ("speakers", "is not installed")],
)
def test_what_cannot_be_removed_is_said_by_its_name(
    capsys: Captured, tmp_path: Path, name: str, says: str
) -> None:
    assert main(["models", "remove", name, "--data-dir", str(tmp_path)]) != 0
    said = capsys.readouterr().err
    assert says in said
    assert "not known" not in said


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--separation-model", "gtcrn"], "--separate"),
        (["--separate", "--separation-model", "nobody"], "must be one of gtcrn"),
        (["--separate", "--separation-model", "htdemucs"], "scriba models pull htdemucs"),
        (["--no-vad", "--vad-threshold", "0.4"], "--no-vad"),
        (["--vad-threshold", "2"], "between 0 and 1"),
    ],
)
def test_separation_and_voice_activity_say_what_is_wrong(
    capsys: Captured, beckett: Path, flags: list[str], says: str
) -> None:
    assert main(["transcribe", str(beckett), "--model", "tiny.en", *flags]) != 0
    assert says in capsys.readouterr().err
