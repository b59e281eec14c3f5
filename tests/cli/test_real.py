"""The commands with real weights (the bundled tiny.en) and real speech."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import wave
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from scriba import QUIET
from scriba.bench import score
from scriba.cli import main
from scriba.models.sources.bundled import BundledSource
from tests.speech import BECKETT_TEXT, TWO_CITIES_TEXT

Captured = pytest.CaptureFixture[str]
PROGRAM = [sys.executable, "-m", "scriba"]


@pytest.fixture(autouse=True)
def only_the_bundled_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCRIBA_MODEL", "tiny.en")
    monkeypatch.setenv("SCRIBA_MODEL_SOURCES", "bundled")


def wer(reference: str, heard: str) -> float:
    rate = score([(reference, heard)], "en").wer
    assert rate is not None
    return rate


def test_speech_from_a_file_is_printed(two_cities: Path, capsys: Captured) -> None:
    assert main(["transcribe", str(two_cities)]) == 0
    assert wer(TWO_CITIES_TEXT, capsys.readouterr().out) < 0.05


def test_speech_through_a_pipe_with_word_times(beckett: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    environment = {name: value for name, value in os.environ.items() if name not in QUIET} | {
        "HOME": str(home)
    }
    result = subprocess.run(
        [*PROGRAM, "transcribe", "-", "--format", "verbose_json", "--words"],
        input=beckett.read_bytes(),
        capture_output=True,
        timeout=120,
        check=True,
        env=environment,
    )
    assert list(home.rglob("*")) == [], "a library keeps a diary, to be sent to its maker"
    body = json.loads(result.stdout)
    assert wer(BECKETT_TEXT, body["text"]) == 0
    assert [word["word"].strip(".").lower() for word in body["words"]][:4] == [
        "ever",
        "tried",
        "ever",
        "failed",
    ]
    times = [time for word in body["words"] for time in (word["start"], word["end"])]
    assert times == sorted(times)
    assert times[-1] <= body["duration"]


def test_files_that_are_no_media_are_named_and_the_rest_is_done(
    beckett: Path, working_folder: Path, capsys: Captured
) -> None:
    Path("noise.wav").write_bytes(b"this is no sound")
    Path("empty.mp3").touch()
    assert main(["transcribe", "noise.wav", "empty.mp3", str(beckett), "-o", "out", "-f", "vtt"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[1] for line in lines] == ["noise.wav", "empty.mp3"]
    assert "Ever tried." in Path("out/beckett.vtt").read_text()


def test_a_language_that_cannot_be_served_names_what_to_do(beckett: Path, capsys: Captured) -> None:
    assert main(["transcribe", str(beckett), "--language", "French"]) == 1
    told = capsys.readouterr().err
    assert "French" in told
    assert "scriba models pull tiny" in told


def test_a_default_model_that_cannot_be_had_gives_way_with_a_notice(
    beckett: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setenv("SCRIBA_MODEL", "base")
    assert main(["transcribe", str(beckett)]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("Ever tried.")
    assert "'base' is not installed" in printed.err
    assert "Using tiny.en instead." in printed.err


def test_a_model_that_was_named_gives_way_to_no_other(beckett: Path, capsys: Captured) -> None:
    assert main(["transcribe", str(beckett), "--model", "base"]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "'base' is not installed" in printed.err


@pytest.fixture
def hour(two_cities: Path, tmp_path: Path) -> Path:
    """Far more speech than a test has time for."""
    path = tmp_path / "hour.wav"
    with wave.open(str(two_cities)) as read, wave.open(str(path), "wb") as write:
        write.setparams(read.getparams())
        sound = read.readframes(read.getnframes())
        for _ in range(20):
            write.writeframes(sound)
    return path


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_ends_it_within_a_moment(hour: Path, number: signal.Signals) -> None:
    process = subprocess.Popen(
        [*PROGRAM, "transcribe", str(hour)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    time.sleep(5)
    assert process.poll() is None, process.communicate()
    began = time.monotonic()
    process.send_signal(number)
    output, told = process.communicate(timeout=30)
    assert time.monotonic() - began < 2
    assert (process.returncode, output, told) == (130, b"", b"")


def test_models_are_converted_listed_found_and_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured, beckett: Path
) -> None:
    monkeypatch.setenv("SCRIBA_DATA_DIR", str(tmp_path / "data"))
    bundled = BundledSource(tmp_path)._directory()
    assert bundled is not None
    assert main(["models", "convert", str(bundled), "mine"]) == 0
    assert "mine is installed" in capsys.readouterr().err

    assert main(["models", "list", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["mine"]["installed"]
    assert not rows["mine"]["multilingual"]
    assert (rows["tiny.en"]["source"], rows["tiny.en"]["default"]) == ("bundled", True)
    assert not rows["large-v3"]["installed"]

    assert main(["models", "list"]) == 0
    table = capsys.readouterr().out
    assert re.search(r"^tiny\.en \(default\) +English +\d+ MB, bundled +bundled$", table, re.MULTILINE)

    assert main(["models", "path", "mine"]) == 0
    folder = Path(capsys.readouterr().out.strip())
    assert (folder / "model.bin").is_file()
    assert folder.is_relative_to(tmp_path / "data")

    assert main(["transcribe", str(beckett), "--model", "mine"]) == 0
    assert capsys.readouterr().out.startswith("Ever tried.")

    assert main(["models", "remove", "mine"]) == 0
    assert not folder.exists()
    capsys.readouterr()
    assert main(["models", "path", "mine"]) == 1


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (["pull", "huge"], 1, "'huge' is not known"),
        (["pull", "small"], 1, "'small' is not installed"),
        (["pull", "small", "--source", "moon"], 2, "moon"),
        (["remove", "small"], 1, "'small' is not installed"),
        (["remove", "tiny.en"], 2, "'tiny.en'"),
        (["path", "small"], 1, "scriba models pull small"),
        (["convert", "absent", "mine"], 2, "absent"),
        (["convert", ".", "mine"], 1, ""),
        (["convert", ".", "../mine"], 2, "../mine"),
    ],
)
def test_what_models_cannot_do_is_said(
    arguments: list[str], status: int, told: str, working_folder: Path, capsys: Captured
) -> None:
    assert main(["models", *arguments]) == status
    printed = capsys.readouterr()
    assert printed.out == ""
    assert told in printed.err
    assert "should not have happened" not in printed.err
    assert "Traceback" not in printed.err


def test_bench_scores_a_folder(beckett: Path, working_folder: Path, capsys: Captured) -> None:
    shutil.copy(beckett, "beckett.wav")
    Path("beckett.txt").write_text(BECKETT_TEXT)
    assert main(["bench", "wer", ".", "--language", "en", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["model"], report["files"], report["wer"]) == ("tiny.en", 1, 0)
    assert report["real_time_factor"] > 0
    assert report["peak_memory_bytes"] > 50_000_000
    assert main(["bench", "wer", "absent"]) == 2
    assert "absent" in capsys.readouterr().err


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    process = subprocess.Popen(
        [*PROGRAM, "serve", "--port", "0"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "SCRIBA_LOG_LEVEL": "warning"},
        cwd=tmp_path,
    )
    assert process.stderr is not None
    told = []
    for line in process.stderr:
        told.append(line)
        if "base_url" in line:
            break
    yield process, told
    process.kill()
    process.communicate()


def test_serve_says_where_it_is_and_hears(
    server: tuple[subprocess.Popen[str], list[str]], beckett: Path
) -> None:
    process, told = server
    text = "".join(told)
    address = re.search(r"curl -F file=@\S+ (http://127\.0\.0\.1:\d+)/transcribe", text)
    assert address, text
    assert f"{address.group(1)}/redoc" in text
    with beckett.open("rb") as file:
        reply = httpx.post(f"{address.group(1)}/transcribe", files={"file": file}, timeout=60)
    assert wer(BECKETT_TEXT, reply.json()["transcript"]) == 0
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=20)
    assert process.returncode == 0, rest
    assert "Traceback" not in rest
