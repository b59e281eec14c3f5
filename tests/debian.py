"""Servers that the tests need, from Debian's packages where they are missing and may be installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from typing import TypeVar

import pytest

T = TypeVar("T")

_SECONDS = 280


def installed(package: str, find: Callable[[], T | None]) -> T:
    """What ``find`` finds, after installing ``package`` if need be; skips the test where that fails."""
    found = find()
    if found is None and os.getuid() == 0 and shutil.which("apt-get"):
        sys.stderr.write(f"installing {package} for the tests\n")
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for command in (["apt-get", "update"], ["apt-get", "install", "-y", package]):
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, timeout=_SECONDS, env=environment
            )
        if done.returncode != 0:
            pytest.skip(f"{package} could not be installed: {done.stderr.strip()[-200:]}")
        found = find()
    if found is None:
        pytest.skip(f"{package} is not here, and this user may not install it: apt-get install {package}")
    return found
