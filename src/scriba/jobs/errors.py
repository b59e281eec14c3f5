"""Which failures can pass."""

from __future__ import annotations

from scriba.domain.errors import (
    EngineError,
    ModelUnavailableError,
    OverloadedError,
    ScribaError,
    StorageUnavailableError,
)

PASSING = (EngineError, ModelUnavailableError, OverloadedError, StorageUnavailableError)
"""What may go well the next time. Everything else that is known would fail again in the same way."""

FIRST_BACK_OFF, LONGEST_BACK_OFF = 2.0, 300.0
UNFORESEEN = "The job failed for a reason nobody foresaw; the server's log has the cause under the job's id."


def can_pass(error: BaseException) -> bool:
    return isinstance(error, PASSING) or not isinstance(error, ScribaError)


def back_off(attempt: int) -> float:
    """Seconds to wait after the ``attempt``-th try: 2, 8, 32, 128, then 300."""
    return float(min(LONGEST_BACK_OFF, FIRST_BACK_OFF * 4 ** max(0, attempt - 1)))


def code_of(error: BaseException) -> str:
    return error.code if isinstance(error, ScribaError) else ScribaError.code


def message_of(error: BaseException) -> str:
    return error.message if isinstance(error, ScribaError) else UNFORESEEN
