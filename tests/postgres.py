"""A PostgreSQL server of the tests' own: Debian's, started in a temporary folder, gone with the session."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.debian import installed

_USER = "postgres"
_SECONDS = 300


@dataclass(frozen=True)
class PostgresServer:
    """A running server. ``restart`` and ``stop`` are for tests of what happens then."""

    bin: Path
    data: Path
    port: int

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://{_USER}@127.0.0.1:{self.port}/{database}"

    def create_database(self) -> str:
        """A new, empty database; its URL."""
        name = f"scriba_{uuid.uuid4().hex}"
        self.sql(f'CREATE DATABASE "{name}"')
        return self.url(name)

    def sql(self, statement: str) -> str:
        command = [str(self.bin / "psql"), "-X", "-q", "-t", "-A", "-d", self.url(), "-c", statement]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout

    def start(self) -> None:
        options = f"-p {self.port} -k {self.data} -c listen_addresses=127.0.0.1 -c max_connections=200"
        _as_postgres(
            [
                self.bin / "pg_ctl",
                "-D",
                self.data,
                "-l",
                self.data / "log",
                "-w",
                "-t",
                60,
                "-o",
                options,
                "start",
            ]
        )

    def stop(self, mode: str = "fast") -> None:
        _as_postgres([self.bin / "pg_ctl", "-D", self.data, "-w", "-m", mode, "stop"])


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Start a server; the test is skipped, with the reason, where none can be installed."""
    binaries = installed("postgresql", _installed)
    with tempfile.TemporaryDirectory(prefix="scriba-pg-") as folder:
        data = Path(folder) / "data"
        data.mkdir()
        if os.getuid() == 0:  # the server refuses to run as root
            Path(folder).chmod(0o755)
            shutil.chown(data, _USER)
        _as_postgres([binaries / "initdb", "-D", data, "-U", _USER, "-A", "trust", "-E", "UTF8", "--no-sync"])
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        server = PostgresServer(binaries, data, port)
        server.start()
        try:
            yield server
        finally:
            server.stop("immediate")


def _installed() -> Path | None:
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    for folder in reversed(folders):
        if all((folder / name).is_file() for name in ("initdb", "pg_ctl", "psql")):
            return folder
    on_path = shutil.which("initdb")
    return Path(on_path).parent if on_path else None


def _as_postgres(command: list[object]) -> None:
    words = [str(word) for word in command]
    if os.getuid() == 0:
        words = ["runuser", "-u", _USER, "--", *words]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120, cwd="/")
    if done.returncode != 0:
        raise RuntimeError(f"{words}: {done.stdout}{done.stderr}")
