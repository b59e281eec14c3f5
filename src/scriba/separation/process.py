"""Separation in a process of its own: it can be killed at any moment, and what it breaks is only itself."""

from __future__ import annotations

import json
import shutil
import subprocess  # our own interpreter, with arguments of our own
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO, cast

import structlog

from scriba.audio.decode import DecodeLimits
from scriba.domain import errors
from scriba.domain.cancel import CancelToken
from scriba.domain.errors import EngineError, ScribaError, UnsupportedOptionError
from scriba.domain.options import SeparationOptions
from scriba.separation.catalogue import DEFAULT, check_segment, resolve
from scriba.separation.runtime import has_cuda
from scriba.separation.store import SeparationStore, missing

Source = Path | BinaryIO
_POLL_SECONDS = 0.1
_BROKE = (
    "Separating voice from music failed: its process ended unexpectedly. The recording may be too large for "
    "this server's memory, or the model damaged."
)
_MODEL_FIELD, _DEVICE_FIELD = "separation_model", "separation_device"
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """Two open WAV files without a name, and the seconds of the recording.

    Stems: the voice, and everything else. For speech: the voice, and the whole sound beside it, 16 kHz mono.
    """

    voice: BinaryIO
    rest: BinaryIO
    seconds: float


class SeparationProcess:
    """Parts voice from music.

    Args:
        folder: where the files lie, unnamed; made when it is first needed.
        default: the model for who names none.
    """

    def __init__(
        self, store: SeparationStore, limits: DecodeLimits, folder: Path, *, default: str = DEFAULT
    ) -> None:
        self._default = resolve(default).name
        self._store = store
        self._limits = limits
        self._folder = folder

    @property
    def default(self) -> str:
        """The model for who names none."""
        return self._default

    def check(
        self, options: SeparationOptions, model_field: str = _MODEL_FIELD, device_field: str = _DEVICE_FIELD
    ) -> None:
        """Refuse at once what cannot be done here. Blocking, and quick.

        Args:
            model_field: what the request calls the model.
            device_field: what it calls the device.

        Raises:
            UnsupportedOptionError: the model is unknown or not here, or the device is none of this machine's.
        """
        model = resolve(options.model or self._default, model_field)
        if self._store.find(model) is None:
            raise UnsupportedOptionError(missing(model), field=model_field)
        if options.device == "cuda" and not has_cuda():
            raise UnsupportedOptionError(
                f"{device_field} cannot be cuda: this server's onnxruntime has no CUDA.", field=device_field
            )
        check_segment(model, options.segment_size)

    def check_name(self, model: str, field: str) -> None:
        """
        Raises:
            UnsupportedOptionError: no model has this name, here or elsewhere.
        """
        resolve(model, field)

    @contextmanager
    def separate(
        self, source: Source, options: SeparationOptions, *, for_speech: bool
    ) -> Iterator[Separating]:
        """Work that is ready to begin. What it makes goes with the context.

        Raises:
            ModelUnavailableError: the model is not here.
        """
        model = resolve(options.model or self._default)
        path = self._store.require(model).path
        self._folder.mkdir(parents=True, exist_ok=True)
        with ExitStack() as files:
            stream = files.enter_context(self._opened(source))
            voice = files.enter_context(TemporaryFile(dir=self._folder))
            rest = files.enter_context(TemporaryFile(dir=self._folder))
            descriptors = [stream.fileno(), voice.fileno(), rest.fileno()]
            order = {
                "model": model.name,
                "path": str(path),
                "segment_size": options.segment_size,
                "device": options.device,
                "for_speech": for_speech,
                "source": descriptors[0],
                "voice": descriptors[1],
                "rest": descriptors[2],
                "limits": asdict(self._limits),
            }
            yield Separating(order, descriptors, cast(BinaryIO, voice), cast(BinaryIO, rest))

    @contextmanager
    def _opened(self, source: Source) -> Iterator[BinaryIO]:
        """The recording as something that another process can read."""
        if isinstance(source, Path):
            with source.open("rb") as file:
                yield file
            return
        source.seek(0)
        try:
            source.fileno()
        except (OSError, AttributeError):
            with TemporaryFile(dir=self._folder) as copy:
                shutil.copyfileobj(source, copy, 1 << 20)
                copy.seek(0)
                yield cast(BinaryIO, copy)
            return
        yield source


class Separating:
    """One recording on its way through the process."""

    def __init__(
        self, order: dict[str, Any], descriptors: list[int], voice: BinaryIO, rest: BinaryIO
    ) -> None:
        self._order = order
        self._descriptors = descriptors
        self._files = (voice, rest)
        self._parts: Parts | None = None

    @property
    def parts(self) -> Parts:
        """What came of it, once ``steps`` has ended."""
        if self._parts is None:
            raise ValueError("The separation has not ended.")
        return self._parts

    def steps(self, cancel: CancelToken) -> Iterator[tuple[float, float | None]]:
        """Do it: seconds done and seconds promised, again and again. Closing the iterator ends the work.

        Raises:
            CancelledByUserError: ``cancel`` was set; the process is dead by then.
            ScribaError: the recording or the options are at fault, or the process broke.
        """
        cancel.check()
        process = subprocess.Popen(
            [sys.executable, "-m", "scriba.separation.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=self._descriptors,
        )
        listener = _Listener(process)
        try:
            listener.start(json.dumps(self._order))
            while listener.at_work(_POLL_SECONDS):
                cancel.check()
                yield listener.progress
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            listener.stop()
        seconds = listener.outcome(process.returncode)
        for file in self._files:
            file.seek(0)
        self._parts = Parts(*self._files, seconds)


class _Listener:
    """Reads what the process says, on threads of its own."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.progress: tuple[float, float | None] = (0.0, None)
        self._last: dict[str, Any] = {}
        self._complaint = b""
        self._threads = [
            threading.Thread(target=work, name="scriba-separation", daemon=True)
            for work in (self._read_lines, self._read_complaint)
        ]

    def start(self, order: str) -> None:
        for thread in self._threads:
            thread.start()
        assert self._process.stdin is not None  # noqa: S101
        try:
            # Not closed: its end tells the process that nobody is left to work for.
            self._process.stdin.write(order.encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it has died already, which its end will tell

    def at_work(self, seconds: float) -> bool:
        self._threads[0].join(seconds)
        return self._threads[0].is_alive()

    def stop(self) -> None:
        for thread in self._threads:
            thread.join()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()

    def outcome(self, code: int) -> float:
        if code == 0 and "seconds" in self._last:
            return float(self._last["seconds"])
        if "error" in self._last:
            raise _error_of(self._last)
        log.error(
            "separation process broke", code=code, said=self._complaint.decode(errors="replace")[-2000:]
        )
        raise EngineError(_BROKE)

    def _read_lines(self) -> None:
        assert self._process.stdout is not None  # noqa: S101
        for line in self._process.stdout:
            try:
                said = json.loads(line)
            except ValueError:
                continue
            if "done" in said:
                self.progress = (float(said["done"]), said["total"])
            else:
                self._last = said

    def _read_complaint(self) -> None:
        assert self._process.stderr is not None  # noqa: S101
        for line in self._process.stderr:
            self._complaint = (self._complaint + line)[-4000:]


def _error_of(said: dict[str, Any]) -> ScribaError:
    kind = getattr(errors, str(said["error"]), EngineError)
    if not (isinstance(kind, type) and issubclass(kind, ScribaError)) or kind is errors.OverloadedError:
        kind = EngineError
    error: ScribaError = kind(str(said["message"]), field=said["field"])
    return error
