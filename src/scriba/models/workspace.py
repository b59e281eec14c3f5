"""Making a model's directory so that nobody ever sees half of it, and only one process at a time makes it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from scriba.domain.cancel import CancelToken
from scriba.models.files import ProgressCallback, no_progress

_LOCK_POLL_SECONDS = 0.2


class Workspace:
    """The working parts of a models directory: ``.locks`` and ``.incoming``.

    Args:
        root: the models directory; made when it is first needed.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def directory(self, name: str) -> Path:
        """Where the model of this name lives."""
        return self._root / _directory_name(name)

    @contextmanager
    def lock(
        self, name: str, cancel: CancelToken | None = None, report: ProgressCallback = no_progress
    ) -> Iterator[None]:
        """Held by one thread of one process at a time; freed by the system when its process dies.

        Raises:
            CancelledByUserError: ``cancel`` was set while waiting.
        """
        locks = self._root / ".locks"
        locks.mkdir(parents=True, exist_ok=True)
        lock = FileLock(locks / f"{_directory_name(name)}.lock", thread_local=False)
        while True:
            try:
                lock.acquire(timeout=_LOCK_POLL_SECONDS)
                break
            except Timeout:
                report(0, None, "waiting for another pull")
                if cancel is not None:
                    cancel.check()
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def making(self, name: str) -> Iterator[Path]:
        """An empty directory on the models' file system; call with the lock held. Gone afterwards."""
        incoming = self._root / ".incoming"
        incoming.mkdir(parents=True, exist_ok=True)
        prefix = f"{_directory_name(name)}@"  # no model's name holds an @
        for leftover in incoming.glob(f"{prefix}*"):
            shutil.rmtree(leftover, ignore_errors=True)  # the lock is ours: its process is dead
        outer = Path(tempfile.mkdtemp(dir=incoming, prefix=prefix))
        made = outer / "model"
        made.mkdir()
        try:
            yield made
        finally:
            shutil.rmtree(outer, ignore_errors=True)

    def publish(self, made: Path, name: str) -> None:
        """Put a finished directory in the model's place, where an older one may be."""
        target = self.directory(name)
        if target.exists():
            target.rename(made.parent / "replaced")
        made.rename(target)

    def discard(self, name: str, grave: Path) -> None:
        """Take a model away; ``grave`` comes from ``making``. Out of sight first, then deleted."""
        self.directory(name).rename(grave / "removed")


def _directory_name(name: str) -> str:
    return name.replace("/", "--")
