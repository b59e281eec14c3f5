"""``scriba serve`` as a process of its own, and the client that measures it over HTTP."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from benchmarks.weights import Weights

_ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+")
_READY_SECONDS = 300.0
_STOP_SECONDS = 30.0
_MOST_TOGETHER = 128
_POLL_SECONDS = 0.1
_KEPT_BYTES = 4_000_000
"""Bodies up to this size are built once, before anything is timed."""


class ServerError(Exception):
    """The server did not start, or refused a recording."""


class Server:
    """A running server; a context manager. Its settings are the defaults and what is given here, no others.

    Args:
        settings: names without ``SCRIBA_``, in any case, such as ``{"max_concurrent": "16"}``.
    """

    def __init__(self, weights: Weights, settings: Mapping[str, str] | None = None) -> None:
        own = {
            "data_dir": str(weights.data_dir),
            "model": weights.name,
            "model_fallback": "none",
            "port": "0",
            "log_level": "warning",
        } | dict(settings or {})
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SCRIBA_")}
        environment |= {f"SCRIBA_{name.upper()}": value for name, value in own.items()}
        self._lines: deque[str] = deque(maxlen=20)
        self._address: str | None = None
        self._told = threading.Event()
        # An empty folder: a .env of the caller's would be read otherwise.
        self._folder = tempfile.TemporaryDirectory(prefix="scriba-bench-")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "scriba", "serve"],
            cwd=self._folder.name,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        threading.Thread(target=self._read, daemon=True).start()
        try:
            self.ready_seconds = self._wait()
        except BaseException:
            self.stop()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def url(self) -> str:
        if self._address is None:
            raise ServerError(self._why("The server did not say where it listens."))
        return self._address

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End it in order, or kill it if it does not end."""
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._folder.cleanup()

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._lines.append(line.rstrip())
            found = _ADDRESS.search(line)
            if found and self._address is None:
                self._address = found.group()
                self._told.set()
        self._told.set()

    def _wait(self) -> float:
        began = time.perf_counter()
        self._told.wait(_READY_SECONDS)
        while time.perf_counter() - began < _READY_SECONDS:
            if self._process.poll() is not None:
                raise ServerError(self._why("The server ended."))
            try:
                if httpx.get(f"{self.url}/ready", trust_env=False, timeout=5).status_code == httpx.codes.OK:
                    return time.perf_counter() - began
            except httpx.TransportError:
                pass
            time.sleep(0.05)
        raise ServerError(self._why(f"The server was not ready after {_READY_SECONDS:.0f} s."))

    def _why(self, what: str) -> str:
        return "\n".join([what, *self._lines])


class OverHttp:
    """A ``System``: OpenAI's transcription route of a server.

    Args:
        beam_size: None leaves the server's default.
    """

    def __init__(self, server: Server, beam_size: int | None = None) -> None:
        self._fields = {"language": "en", "response_format": "json"}
        if beam_size is not None:
            self._fields["beam_size"] = str(beam_size)
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=_MOST_TOGETHER)
        self._client = httpx.Client(base_url=server.url, timeout=None, limits=limits, trust_env=False)
        self._threads = ThreadPoolExecutor(_MOST_TOGETHER, "client")
        self._bodies: dict[Path, tuple[bytes, str]] = {}

    def submit(self, path: Path) -> Future[str]:
        return self._threads.submit(self._post, path)

    def prepare(self, path: Path) -> None:
        """Build the body of a short recording now, so that it is not part of what is timed."""
        if path not in self._bodies and path.stat().st_size <= _KEPT_BYTES:
            files = {"file": (path.name, path.read_bytes())}
            request = self._client.build_request("POST", "/", data=self._fields, files=files)
            self._bodies[path] = (request.read(), request.headers["content-type"])

    def close(self) -> None:
        self._threads.shutdown(cancel_futures=True)
        self._client.close()

    def load(self) -> dict[str, dict[str, float]]:
        """What waits for the device, class by class."""
        told: dict[str, dict[str, float]] = self._client.get("/load").json()
        return told

    def _post(self, path: Path) -> str:
        route = "/v1/audio/transcriptions"
        self.prepare(path)
        if path in self._bodies:
            body, kind = self._bodies[path]
            reply = self._client.post(route, content=body, headers={"content-type": kind})
        else:
            with path.open("rb") as file:
                reply = self._client.post(route, data=self._fields, files={"file": (path.name, file)})
        if reply.status_code != httpx.codes.OK:
            raise ServerError(f"The server answered {reply.status_code}: {reply.text[:300]}")
        text: str = reply.json()["text"]
        return text


class AsJob:
    """A ``System``: the server's queue of jobs, the class of work that gives way to all other."""

    def __init__(self, server: Server, beam_size: int | None = None) -> None:
        self._fields = {"language": "en"} | ({} if beam_size is None else {"beam_size": str(beam_size)})
        self._client = httpx.Client(base_url=server.url, timeout=None, trust_env=False)
        self._threads = ThreadPoolExecutor(1, "job")

    def submit(self, path: Path) -> Future[str]:
        return self._threads.submit(self._run, path)

    def close(self) -> None:
        self._threads.shutdown(cancel_futures=True)
        self._client.close()

    def _run(self, path: Path) -> str:
        with path.open("rb") as file:
            reply = self._client.post("/v1/jobs", data=self._fields, files={"file": (path.name, file)})
        if reply.status_code != httpx.codes.ACCEPTED:
            raise ServerError(f"The server answered {reply.status_code}: {reply.text[:300]}")
        place = reply.headers["location"]
        while (status := self._client.get(place).json()["status"]) not in (
            "completed",
            "failed",
            "cancelled",
        ):
            time.sleep(_POLL_SECONDS)
        if status != "completed":
            raise ServerError(f"The job {status}.")
        text: str = self._client.get(f"{place}/result", params={"format": "json"}).json()["text"]
        # Work that was done once is answered from its result: the next run must be work again.
        self._client.delete(place).raise_for_status()
        return text
