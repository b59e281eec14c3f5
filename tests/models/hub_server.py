"""A small server that speaks as much of the model hub's protocol as downloads need."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
_SMALL = 1 << 20


@dataclass
class Hub:
    """What the server has, how it behaves, and what was asked of it."""

    repositories: dict[str, dict[str, bytes]] = field(default_factory=dict)
    gated: set[str] = field(default_factory=set)
    token: str = "hf_secret"
    break_after: int | None = None
    """Cut the connection after so many bytes of a large file, once."""
    corrupt: set[str] = field(default_factory=set)
    """Names of files that arrive with one bit turned, though under the right hash."""
    status: int | None = None
    """Answer everything with this status."""
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)
    """Method, path, and Range header."""
    tokens: set[str | None] = field(default_factory=set)
    endpoint: str = ""

    def add(self, repository: str, folder: Path, *names: str) -> None:
        files = [folder / name for name in names] if names else sorted(folder.iterdir())
        self.repositories[repository] = {file.name: file.read_bytes() for file in files if file.is_file()}

    def downloads(self) -> list[str]:
        return [
            path.rsplit("/", 1)[-1]
            for method, path, _ in self.requests
            if method == "GET" and "resolve" in path
        ]


def etag_of(data: bytes) -> str:
    """SHA-256 for a file in large file storage, git's blob hash for a small one."""
    if len(data) >= _SMALL:
        return hashlib.sha256(data).hexdigest()
    return hashlib.sha1(f"blob {len(data)}\0".encode() + data).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Silence."""

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        hub, path = self.hub, unquote(urlsplit(self.path).path)
        hub.requests.append((self.command, path, self.headers.get("Range")))
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None
        hub.tokens.add(token)
        if hub.status is not None:
            self._error(hub.status)
            return
        listing = re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/[^/]+)?", path)
        file = re.fullmatch(r"/([^/]+/[^/]+)/resolve/[^/]+/([^/]+)", path)
        repository = listing[1] if listing else file[1] if file else ""
        files = hub.repositories.get(repository)
        if files is None:
            self._error(401, "RepoNotFound")
        elif repository in hub.gated and token != hub.token:
            self._error(401, "GatedRepo")
        elif listing:
            siblings = [{"rfilename": name, "size": len(data)} for name, data in files.items()]
            reply = {"id": repository, "modelId": repository, "sha": COMMIT, "siblings": siblings}
            self._send(200, json.dumps(reply).encode(), body=body, kind="application/json")
        elif file and file[2] in files:
            self._file(file[2], files[file[2]], body=body)
        else:
            self._error(404, "EntryNotFound")

    def _file(self, name: str, data: bytes, *, body: bool) -> None:
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        start = int(wanted[1]) if wanted else 0
        sent = data
        if name in self.hub.corrupt:
            sent = data[:-1] + bytes([data[-1] ^ 1])
        extra = {"ETag": f'"{etag_of(data)}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        if wanted:
            extra["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        limit = self.hub.break_after
        if body and limit is not None and len(data) - start > limit:
            self.hub.break_after = None
            self._head(206 if wanted else 200, len(data) - start, extra)
            self.wfile.write(sent[start : start + limit])
            self.wfile.flush()
            self.close_connection = True
            return
        self._send(206 if wanted else 200, sent[start:], body=body, extra=extra)

    def _error(self, status: int, code: str | None = None) -> None:
        extra = {"X-Error-Code": code, "X-Error-Message": "no"} if code else {}
        self._send(status, b"{}", body=self.command == "GET", extra=extra)

    def _head(self, status: int, length: int, extra: dict[str, str]) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        for name, value in extra.items():
            self.send_header(name, value)
        self.end_headers()

    def _send(
        self,
        status: int,
        data: bytes,
        *,
        body: bool,
        kind: str = "application/octet-stream",
        extra: dict[str, str] | None = None,
    ) -> None:
        self._head(status, len(data), {"Content-Type": kind, **(extra or {})})
        if body:
            try:
                self.wfile.write(data)
            except OSError:
                self.close_connection = True  # the client had enough


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is what some tests are about."""


@contextmanager
def serving() -> Iterator[Hub]:
    """The server, on a port of its own."""
    hub = Hub()
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
