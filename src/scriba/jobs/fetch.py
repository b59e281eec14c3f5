"""Fetching a recording from an address that a client gave: only from outside, only so much, only so long.

Every address is resolved once, judged, and connected to as judged, so that a name cannot answer differently
the second time. Each redirect is judged anew.
"""

from __future__ import annotations

import asyncio
import http.client
import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import BinaryIO
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

from scriba.domain.errors import AddressRefusedError, FetchError, MediaTooLargeError
from scriba.store.disk import room_on_disk

_BLOCK = 1 << 20
_THREADS = ThreadPoolExecutor(16, thread_name_prefix="scriba-fetch")
"""Its own: an address that hardly answers must not take the threads that everybody else needs."""
_REDIRECTS = 5
_MOVED = (301, 302, 303, 307, 308)
_LONGEST_URL = 2048
_AGENT = "Scriba"

Resolve = Callable[[str, int], list[str]]


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """``private`` addresses are allowed (``host`` or ``host:port``), all others must be public."""

    max_bytes: int
    seconds: float = 600.0
    idle_seconds: float = 30.0
    private: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Target:
    """An address that was judged: where to connect, and what to ask for."""

    scheme: str
    host: str
    port: int
    address: str
    path: str


def resolve(host: str, port: int) -> list[str]:
    """Every address of a host. Blocking."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def judge(url: str, private: frozenset[str], look_up: Resolve = resolve, *, field: str = "url") -> Target:
    """The address to connect to. Blocking: it asks for the host's addresses.

    Raises:
        AddressRefusedError: it is not one this server connects to.
        FetchError: the host has no address.
    """
    parts = _split(url, field)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        addresses = look_up(host, port)
    except (OSError, UnicodeError):
        raise FetchError(f"{field}: the host {host[:100]!r} has no address.", field=field) from None
    allowed = {host.lower(), f"{host.lower()}:{port}"} & private
    for address in addresses:
        # All of them: which one a client gets is chance.
        if not allowed and not is_public(address):
            raise AddressRefusedError(
                f"{field}: {host[:100]} is an address inside a network, and is not fetched from.", field=field
            )
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, host, port, addresses[0], path)


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if ip in ipaddress.ip_network("64:ff9b::/96"):
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None and not is_public(str(inner)):
            return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


async def fetch(url: str, limits: FetchLimits, file: BinaryIO, look_up: Resolve = resolve) -> str:
    """Write the body to ``file``; the name that the address ends in.

    Raises:
        AddressRefusedError: the address, or one it redirects to, is not one this server fetches from.
        FetchError: the other server does not answer, or with an error, or not in time.
        MediaTooLargeError: the body is larger than the limit; seen while it comes.
        StorageFullError: ``file`` took no more.
    """
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_THREADS, _fetch, url, limits, file, look_up)


def _fetch(url: str, limits: FetchLimits, file: BinaryIO, look_up: Resolve) -> str:
    end = time.monotonic() + limits.seconds
    for _ in range(_REDIRECTS + 1):
        target = judge(url, limits.private, look_up)
        try:
            with _get(target, limits) as answer:
                if answer.status in _MOVED:
                    url = urljoin(url, answer.headers.get("location", ""))
                    continue
                if answer.status != 200:
                    raise FetchError(f"url: the other server answered {answer.status}.", field="url")
                _copy(answer, limits, file, end)
        except (OSError, http.client.HTTPException) as error:
            reason = "took too long" if isinstance(error, TimeoutError) else "could not be read from"
            raise FetchError(f"url: {target.host[:100]} {reason}.", field="url") from None
        return unquote(urlsplit(url).path.rpartition("/")[2]) or "recording"
    raise FetchError(f"url: more than {_REDIRECTS} redirects.", field="url")


def _copy(answer: http.client.HTTPResponse, limits: FetchLimits, file: BinaryIO, end: float) -> None:
    length = answer.headers.get("content-length", "")
    if length.isdecimal() and int(length) > limits.max_bytes:
        raise _too_large(limits)
    received = 0
    while block := answer.read1(_BLOCK):
        received += len(block)
        if received > limits.max_bytes:
            raise _too_large(limits)
        if time.monotonic() > end:
            raise FetchError(f"url: the body did not end within {limits.seconds:g} seconds.", field="url")
        with room_on_disk():
            file.write(block)
    if length.isdecimal() and received != int(length):
        raise FetchError("url: the body broke off.", field="url")
    with room_on_disk():
        file.flush()


def _too_large(limits: FetchLimits) -> MediaTooLargeError:
    return MediaTooLargeError(
        f"url: the body is larger than the {limits.max_bytes:,} bytes this server takes.", field="url"
    )


@contextmanager
def _get(target: Target, limits: FetchLimits) -> Iterator[http.client.HTTPResponse]:
    connection = connect(target, limits.idle_seconds)
    with closing(connection):
        connection.request(
            "GET", target.path, headers={"user-agent": _AGENT, "accept": "*/*", "connection": "close"}
        )
        with closing(connection.getresponse()) as answer:
            yield answer


def connect(target: Target, seconds: float) -> http.client.HTTPConnection:
    """A connection to the judged address; the name is used for TLS and the Host header alone."""
    made: http.client.HTTPConnection
    if target.scheme == "https":
        made = http.client.HTTPSConnection(
            target.host, target.port, timeout=seconds, context=ssl.create_default_context()
        )
    else:
        made = http.client.HTTPConnection(target.host, target.port, timeout=seconds)

    def dial(_: object, timeout: float = seconds, source: object = None) -> socket.socket:  # noqa: ARG001
        return socket.create_connection((target.address, target.port), timeout)

    made._create_connection = dial  # type: ignore[attr-defined]
    return made


def _split(url: str, field: str) -> SplitResult:
    if len(url) > _LONGEST_URL:
        raise AddressRefusedError(f"{field} is longer than {_LONGEST_URL} characters.", field=field)
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise AddressRefusedError(f"{field} is no address.", field=field) from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise AddressRefusedError(f"{field} must begin with http:// or https://.", field=field)
    if parts.username is not None:
        raise AddressRefusedError(f"{field} must not hold a name or password.", field=field)
    if any(ord(character) <= 32 or ord(character) > 126 for character in url):
        raise AddressRefusedError(f"{field} holds characters that no address has.", field=field)
    return parts
