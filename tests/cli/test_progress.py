"""Progress is for people: on the standard error, in a terminal, and gone at the end."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

from scriba.cli.progress import clock

SCRIPT = """
import sys, time
from scriba.cli.progress import listening
with listening("a.wav") as report:
    for second in range(3):
        report(60.0 * second, 3725.0)
        time.sleep(0.15)
sys.stdout.write("data\\n")
"""


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (65.9, "1:05"), (3599.99, "59:59"), (3725, "1:02:05")]
)
def test_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_nothing_is_drawn_where_nobody_looks() -> None:
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60, check=True
    )
    assert (result.stdout, result.stderr) == ("data\n", "")


def test_a_terminal_sees_seconds_done_and_total_and_data_stays_apart() -> None:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, stderr=theirs, env=environment
    )
    os.close(theirs)
    drawn = b""
    while True:
        try:
            block = os.read(ours, 4096)
        except OSError:  # the other end of a terminal that is closed
            break
        if not block:
            break
        drawn += block
    os.close(ours)
    output, _ = process.communicate(timeout=60)
    assert output == b"data\n"
    assert b"a.wav" in drawn
    assert b"1:00 / 1:02:05" in drawn
    assert drawn.rstrip().endswith((b"\x1b[2K", b"\x1b[?25h")), "the bar is wiped at the end"
