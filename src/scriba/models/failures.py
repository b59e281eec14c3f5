"""What can go wrong between a name and its weights.

``message`` is safe to show to a client of the server; ``detail`` (paths, what another program said) is for
the operator at the command line and for the log.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from scriba.domain.errors import ModelUnavailableError


class ModelSourceError(ModelUnavailableError):
    """A model could not be had from one place, or from any."""

    def __init__(self, message: str, *, detail: str = "") -> None:
        super().__init__(message, field="model")
        self.detail = detail


class SourceUnreachableError(ModelSourceError):
    """The place did not answer, or may not be asked."""


class NotOfferedError(ModelSourceError):
    """The place answered, and does not have the model."""


class DamagedDownloadError(ModelSourceError):
    """What arrived is not what was published."""


class AccessRefusedError(ModelSourceError):
    """The place wants a login, or a licence to be accepted."""


class DiskFullError(ModelSourceError):
    """There is no room for the model. Trying another source would not help."""


class NotWritableError(ModelSourceError):
    """The models directory cannot be written to."""


def no_source(
    name: str,
    tried: Sequence[tuple[str, ModelUnavailableError]],
    way: str = "add the model from a folder",
) -> ModelSourceError:
    """One error out of those of every source that was tried. ``way`` is what helps without any."""
    if not tried:
        return ModelSourceError(
            f"The model {name!r} is not installed, and no configured source carries it. "
            f"Configure another source, or {way}."
        )
    reasons = "; ".join(f"{source}: {error.message.rstrip('.')}" for source, error in tried)
    details = [f"{source}: {detail}" for source, error in tried if (detail := getattr(error, "detail", ""))]
    return ModelSourceError(
        f"The model {name!r} is not installed and could not be fetched ({reasons}). "
        f"Check the network, or {way}.",
        detail="\n".join(details),
    )


@contextmanager
def disk_errors(directory: Path) -> Iterator[None]:
    """Turn what the file system says about ``directory`` into one of the errors above."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError(
                "The disk is full. Free some space in the models directory and try again.",
                detail=f"{directory}: {error}",
            ) from error
        if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM, errno.ENOTDIR, errno.EEXIST):
            raise NotWritableError(
                "The models directory cannot be written to. Check its owner and permissions, or name "
                "another one.",
                detail=f"{directory}: {error}",
            ) from error
        raise
