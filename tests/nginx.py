"""nginx with ``deploy/nginx.conf``, in front of servers of the tests' own."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

from tests.debian import installed
from tests.processes import free_port

CONF = Path(__file__).resolve().parents[1] / "deploy" / "nginx.conf"
_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


@contextmanager
def balancer(folder: Path, ports: list[int]) -> Iterator[str]:
    """The address of a balancer before these two ports; only names and ports of its file are changed."""
    program = installed("nginx-light", _find)
    folder.mkdir(parents=True)
    port = free_port()
    text = CONF.read_text()
    for old, new in (
        ("listen 80;", f"listen 127.0.0.1:{port};"),
        ("server web1:8000 ", f"server 127.0.0.1:{ports[0]} "),
        ("server web2:8000 ", f"server 127.0.0.1:{ports[1]} "),
    ):
        assert text.count(old) == 1
        text = text.replace(old, new)
    (folder / "site.conf").write_text(text)
    paths = "".join(f"{name}_temp_path {folder}/{name};\n" for name in _TEMPORARY)
    user = "user root;\n" if os.getuid() == 0 else ""
    main = folder / "nginx.conf"
    main.write_text(
        f"{user}daemon off;\npid {folder}/pid;\nerror_log {folder}/error.log;\nevents {{}}\n"
        f"http {{\naccess_log {folder}/access.log;\n{paths}include {folder}/site.conf;\n}}\n"
    )
    process = subprocess.Popen([program, "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(main)])
    address = f"http://127.0.0.1:{port}"
    try:
        end = time.monotonic() + 20
        while True:
            with suppress(httpx.TransportError):
                httpx.get(f"{address}/health")
                break
            assert process.poll() is None, (folder / "error.log").read_text()
            assert time.monotonic() < end
            time.sleep(0.05)
        yield address
    finally:
        process.terminate()
        process.wait(20)


def _find() -> str | None:
    return shutil.which("nginx", path=f"{os.environ.get('PATH', '')}{os.pathsep}/usr/sbin")
