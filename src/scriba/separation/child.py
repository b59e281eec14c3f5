"""What runs in the process of its own: ``python -m scriba.separation.child``, ordered on the standard input.

It gets open files, never paths of recordings, and tells on the standard output, a JSON object a line: how far
it is, and at last the seconds it has separated, or what went wrong.
"""

from __future__ import annotations

import errno
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any, BinaryIO

_TELL_SECONDS = 0.2


def main() -> int:
    order: dict[str, Any] = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    last = 0.0

    def tell(done: float, total: float | None) -> None:
        nonlocal last
        if time.monotonic() - last >= _TELL_SECONDS:
            last = time.monotonic()
            _say({"done": done, "total": total})

    from scriba.domain.errors import ScribaError

    try:
        seconds = _separate(order, tell)
    except ScribaError as error:
        _say({"error": type(error).__name__, "message": error.message, "field": error.field})
        return 1
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        kind = "StorageFullError" if full else "EngineError"
        _say({"error": kind, "message": _why(full=full), "field": None})
        return 1
    _say({"seconds": seconds})
    return 0


def _end_with_the_parent() -> None:
    sys.stdin.read()
    os._exit(1)


def _separate(order: dict[str, Any], tell: Any) -> float:
    from scriba.audio.decode import DecodeLimits
    from scriba.separation.build import build_separator, sound_of
    from scriba.separation.catalogue import resolve
    from scriba.separation.driver import write_speech, write_stems

    model = resolve(order["model"])
    sound = sound_of(model, for_speech=order["for_speech"])
    separator = build_separator(model, Path(order["path"]), sound, order["segment_size"], order["device"])
    write = write_speech if order["for_speech"] else write_stems
    limits = DecodeLimits(**order["limits"])
    with (
        _file(order["source"], "rb") as source,
        _file(order["voice"], "wb") as voice,
        _file(order["rest"], "wb") as rest,
    ):
        return write(source, limits, sound, separator, voice, rest, tell)


def _file(descriptor: int, mode: str) -> BinaryIO:
    file: BinaryIO = os.fdopen(descriptor, mode)  # type: ignore[assignment]
    return file


def _why(*, full: bool) -> str:
    if full:
        return "There is no room left to separate this recording."
    return "The separated sound could not be written."


def _say(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
