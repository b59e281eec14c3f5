"""Every failure a user can meet, as a type. What each becomes on the wire is decided in one table elsewhere.

A message is written for the person who sent the request: it names the field, the bound and the value,
and holds no path, no stack trace and no name of an internal part.
"""

from __future__ import annotations


class ScribaError(Exception):
    """Base of every error that may reach a user.

    ``code`` is stable and machine-readable; ``field`` names the request's parameter at fault, if one is.
    """

    code = "internal_error"

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field


class InvalidOptionError(ScribaError):
    """A parameter has a value outside its bounds, or of the wrong kind."""

    code = "invalid_value"


class UnsupportedOptionError(ScribaError):
    """A parameter is understood but this server cannot honour it."""

    code = "unsupported_parameter"


class UnknownLanguageError(InvalidOptionError):
    """A language is neither a code nor a name nor an alias that Whisper knows."""

    code = "unknown_language"


class EmptyMediaError(ScribaError):
    """The upload holds no bytes, or a media file holds no audio samples."""

    code = "empty_media"


class UnsupportedMediaError(ScribaError):
    """The bytes are no media the decoder reads, are corrupt, or hold no audio track."""

    code = "unsupported_media"


class MediaTooLargeError(ScribaError):
    """More bytes or more seconds of audio than the server allows."""

    code = "media_too_large"


class ModelNotFoundError(ScribaError):
    """No model of that name exists or may be fetched."""

    code = "model_not_found"


class ModelUnavailableError(ScribaError):
    """The model is known, but could not be had: no source reachable, disk full, bad hash."""

    code = "model_unavailable"


class LanguageNotServedError(ScribaError):
    """The model does not speak the language (or cannot translate), and no model that does may be had."""

    code = "language_not_served"


class OverloadedError(ScribaError):
    """The server is full. ``retry_after`` is the number of seconds worth waiting."""

    code = "overloaded"

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class SessionNotFoundError(ScribaError):
    """There is no live session of that id: it never was, it has ended, or it has expired."""

    code = "session_not_found"


class EngineError(ScribaError):
    """Inference itself failed. The message says no more than that; the cause is in the log."""

    code = "engine_error"


class CancelledByUserError(ScribaError):
    """The work was cancelled: the client hung up or asked for it."""

    code = "cancelled"


class NotFoundError(ScribaError):
    """There is nothing of that name: no such job, recording or upload."""

    code = "not_found"


class ConflictError(ScribaError):
    """The request does not fit the state that things are in."""

    code = "conflict"


class GoneError(ScribaError):
    """It was there, and its time is over."""

    code = "gone"


class StorageFullError(ScribaError):
    """There is no room: the disk is full, or the quota is used up."""

    code = "storage_full"


class StorageUnavailableError(ScribaError):
    """The store does not answer now; it may later."""

    code = "storage_unavailable"


class MediaLostError(ScribaError):
    """The recording that a job needs is not in the store."""

    code = "media_lost"


class FetchError(ScribaError):
    """A recording could not be fetched from the address that was given."""

    code = "fetch_failed"


class AddressRefusedError(InvalidOptionError):
    """An address that this server does not fetch from."""

    code = "address_refused"
