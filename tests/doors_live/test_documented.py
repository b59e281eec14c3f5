"""The clients that docs/live.md shows are short, and the one in Python runs as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from scriba.doors.live.wire import event_message
from tests.doors_live.conftest import Serve
from tests.live.doubles import pcm
from tests.live.test_numbered import EVENTS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "live.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found.group(1)


@pytest.mark.parametrize("language", ["python", "html"])
def test_clients_are_short(language: str) -> None:
    assert len(block(language).splitlines()) < 60


def test_the_python_client_runs(serve: Serve, audio: NDArray[np.float32], said: str, tmp_path: Path) -> None:
    recording, program = tmp_path / "speech.wav", tmp_path / "client.py"
    with wave.open(str(recording), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(pcm(audio))
    program.write_text(block("python"), encoding="utf-8")
    address = serve().url.replace("http", "ws") + "/v1/live"
    done = subprocess.run(
        [sys.executable, program, recording, address], capture_output=True, text=True, timeout=60, check=True
    )

    assert done.stdout.strip() == said


@pytest.mark.parametrize("numbered", EVENTS, ids=lambda own: type(own.event).__name__)
def test_every_event_is_described(numbered: object) -> None:
    kind = event_message(numbered)["type"]  # type: ignore[arg-type]
    assert f"`{kind}`" in PAGE
