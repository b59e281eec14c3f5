"""Talking to the model hub through ``huggingface_hub``: listings, and downloads that resume.

The library finds endpoint, login, proxies and certificates as its users know them (``HF_ENDPOINT``,
``HF_TOKEN``, ``HF_HUB_OFFLINE``, ``HF_HOME``). Since version 2 its own downloads start again from nothing
after a crash, so the bytes are fetched here, over the library's session, into a file that survives.
"""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scriba.domain.cancel import CancelToken
from scriba.models.failures import (
    AccessRefusedError,
    DamagedDownloadError,
    ModelSourceError,
    NotOfferedError,
    SourceUnreachableError,
)
from scriba.models.files import ProgressCallback

_CONNECT_SECONDS = 5.0
_READ_SECONDS = 15.0
_ANSWER_SECONDS = 12.0
_POLL_SECONDS = 0.2
_BLOCK = 1 << 18
_ATTEMPTS = 4
_SHA256 = re.compile(r"^[0-9a-f]{64}$")
_SHA1 = re.compile(r"^[0-9a-f]{40}$")
_TRANSIENT = {"TransportError", "TimeoutException", "NetworkError", "ProtocolError", "ConnectError"}

Watch = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file of a repository at one commit. ``size`` is None when the hub does not say."""

    name: str
    size: int | None


@dataclass(frozen=True, slots=True)
class Listing:
    """A repository at one commit."""

    repository: str
    commit: str
    files: dict[str, RemoteFile]


class HubClient:
    """One hub. Arguments that are None are what the environment says.

    Args:
        endpoint: base address of the hub.
        token: login; overrides the stored one.
        cache: the directory of the hub's own cache, for ``cached``.
    """

    def __init__(
        self, *, endpoint: str | None = None, token: str | None = None, cache: Path | None = None
    ) -> None:
        self._endpoint = endpoint
        self._token = token
        self._cache = cache

    def cached(self, repository: str, required: tuple[str, ...]) -> Path | None:
        """The snapshot of a repository that another program of the user downloaded, if it is whole."""
        from huggingface_hub import try_to_load_from_cache

        folders: set[Path] = set()
        for name in required:
            found = try_to_load_from_cache(repository, name, cache_dir=self._cache)
            if not isinstance(found, str):
                return None
            folders.add(Path(found).parent)
        return folders.pop() if len(folders) == 1 else None

    def listing(self, repository: str, cancel: CancelToken | None) -> Listing:
        """What a repository holds now.

        Raises:
            ModelSourceError: it cannot be had; the type says why.
        """
        from huggingface_hub import HfApi

        api = HfApi(endpoint=self._endpoint, token=self._token)
        try:
            info: Any = _bounded(
                lambda: api.model_info(repository, timeout=_CONNECT_SECONDS, files_metadata=True), cancel
            )
        except Exception as error:
            raise _translate(error, repository) from error
        files = {
            file.rfilename: RemoteFile(file.rfilename, file.size)
            for file in info.siblings or ()
            if isinstance(file.rfilename, str)
        }
        return Listing(repository, info.sha or "main", files)

    def download(
        self, listing: Listing, name: str, partial: Path, watch: Watch, cancel: CancelToken | None
    ) -> Path:
        """Fetch one file; returns where it lies, under the hash that the hub publishes as its name.

        Args:
            partial: directory for what has arrived so far; a later call goes on from there.
            watch: called with the bytes of this file that are here; may raise to stop.

        Raises:
            ModelSourceError: it cannot be had, or is not what the hub says it is.
        """
        from huggingface_hub import get_hf_file_metadata, hf_hub_url

        url = hf_hub_url(listing.repository, name, revision=listing.commit, endpoint=self._endpoint)
        try:
            facts: Any = _bounded(
                lambda: get_hf_file_metadata(
                    url, token=self._token, timeout=_CONNECT_SECONDS, endpoint=self._endpoint
                ),
                cancel,
            )
        except Exception as error:
            raise _translate(error, listing.repository) from error
        etag = facts.etag or ""
        if not (_SHA256.match(etag) or _SHA1.match(etag)):
            raise ModelSourceError(f"the hub does not say which {name} is the right one")
        growing = partial / etag
        self._transfer(url, growing, facts.size, listing.repository, watch)
        _verify(growing, etag, name)
        return growing

    def _transfer(self, url: str, growing: Path, size: int | None, repository: str, watch: Watch) -> None:
        growing.touch()
        failures = 0
        while failures < _ATTEMPTS:
            before = growing.stat().st_size
            if size is not None and before > size:
                growing.write_bytes(b"")
                before = 0
            if size is not None and before == size:
                watch(size)
                return
            try:
                self._receive(url, growing, before, watch)
                if size is None:
                    return
            except Exception as error:
                if not _kinds(error) & _TRANSIENT or failures == _ATTEMPTS - 1:
                    raise _translate(error, repository) from error
            if growing.stat().st_size > before:
                failures = 0  # slow or shaky, but moving
            else:
                failures += 1
                time.sleep(0.5 * failures)
        raise SourceUnreachableError("the download broke off again and again; what arrived is kept")

    def _receive(self, url: str, growing: Path, before: int, watch: Watch) -> None:
        from huggingface_hub import get_session
        from huggingface_hub.utils import (  # type: ignore[attr-defined,unused-ignore]
            build_hf_headers,
            hf_raise_for_status,
        )

        headers = build_hf_headers(token=self._token)
        headers["Accept-Encoding"] = "identity"
        if before:
            headers["Range"] = f"bytes={before}-"
        with get_session().stream(
            "GET", url, headers=headers, timeout=_READ_SECONDS, follow_redirects=True
        ) as response:
            hf_raise_for_status(response)
            resumed = before > 0 and response.status_code == 206
            done = before if resumed else 0
            with growing.open("ab" if resumed else "wb") as file:
                for block in response.iter_bytes(_BLOCK):
                    file.write(block)
                    done += len(block)
                    watch(done)


def _bounded(call: Callable[[], object], cancel: CancelToken | None) -> object:
    """Wait for a short request only so long: a host of many addresses multiplies every time-out.

    Raises:
        TimeoutError: it took too long; it is left to die on its own.
        CancelledByUserError: ``cancel`` was set.
    """
    result: Future[object] = Future()

    def run() -> None:
        try:
            result.set_result(call())
        except BaseException as error:
            result.set_exception(error)

    threading.Thread(target=run, daemon=True, name="hub-request").start()
    deadline = time.monotonic() + _ANSWER_SECONDS
    while not result.done():
        if cancel is not None:
            cancel.check()
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        wait([result], timeout=min(_POLL_SECONDS, left))
    return result.result()


def watcher(
    report: ProgressCallback, cancel: CancelToken | None, done_before: int, total: int | None
) -> Watch:
    """A ``watch`` that adds up the files of one model and stops when it is cancelled."""

    def watch(done: int) -> None:
        if cancel is not None:
            cancel.check()
        report(done_before + done, total, "downloading")

    return watch


def _verify(path: Path, etag: str, name: str) -> None:
    """The hub's ETag is the SHA-256 of a large file, and git's SHA-1 of a small one."""
    digest = hashlib.sha256() if _SHA256.match(etag) else hashlib.sha1(usedforsecurity=False)
    if not _SHA256.match(etag):
        digest.update(f"blob {path.stat().st_size}\0".encode())
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    if digest.hexdigest() != etag:
        path.unlink(missing_ok=True)
        raise DamagedDownloadError(
            f"{name} does not have the hash that the hub published, and was deleted. Try again."
        )


def _kinds(error: BaseException) -> set[str]:
    """Names of the error's classes: the library's HTTP package differs between its versions."""
    return {kind.__name__ for kind in type(error).__mro__}


def _translate(error: Exception, repository: str) -> Exception:
    """One of our own errors for one of the library's; what stopped us ourselves stays as it is."""
    from scriba.domain.errors import ScribaError

    if isinstance(error, ScribaError):
        return error
    kinds = _kinds(error)
    detail = f"{repository}: {type(error).__name__}: {error}"
    status = getattr(getattr(error, "response", None), "status_code", None)
    if "OfflineModeIsEnabled" in kinds:
        return SourceUnreachableError("the hub may not be asked, since HF_HUB_OFFLINE is set", detail=detail)
    if "GatedRepoError" in kinds:
        return AccessRefusedError(
            "the model is gated: accept its licence on the hub, and set HF_TOKEN", detail=detail
        )
    if status in (401, 403) or "RepositoryNotFoundError" in kinds:
        return NotOfferedError(
            "the hub has no such model, or it is private: for a private one, set HF_TOKEN", detail=detail
        )
    if status == 404 or "EntryNotFoundError" in kinds or "RevisionNotFoundError" in kinds:
        return NotOfferedError("the hub's repository lacks a file that is needed", detail=detail)
    if "OSError" in kinds and getattr(error, "errno", None) is not None and "ConnectionError" not in kinds:
        return error  # the disk: translated by who knows the directory
    if status is not None:
        return SourceUnreachableError(f"the hub answered with the error {status}", detail=detail)
    reason = (
        "did not answer in time" if kinds & {"TimeoutException", "TimeoutError"} else "could not be reached"
    )
    return SourceUnreachableError(f"the hub {reason}", detail=detail)
