"""Connections to PostgreSQL: one way for all of them, and an end to those whose process stands still.

A process may be stopped at any moment (a frozen virtual machine, SIGSTOP, a machine that lost its network)
and may hold rows then. PostgreSQL ends by itself a transaction that waits for its next statement; not one
that stopped between the two halves of a statement, whose session counts as active for ever. Such a session
is ended by whichever other process looks first (``end_frozen``).
"""

from __future__ import annotations

import socket
from typing import Any

import asyncpg
from sqlalchemy import TextClause, text
from sqlalchemy.engine import URL

from scriba.domain.errors import StorageUnavailableError

FROZEN_SECONDS = 5.0
"""For so long a process may keep a transaction waiting for its word."""
_NAME = "scriba"
_CONNECT_SECONDS = 10.0
_SESSION = {
    # What our sessions are known by to each other.
    "application_name": _NAME,
    "idle_in_transaction_session_timeout": str(round(FROZEN_SECONDS * 1000)),
    # A machine that vanished without a word is noticed within a minute, not within two hours.
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
}
CUT_OFF = asyncpg.InternalClientError
"""What a session that was ended between the halves of a statement may say before it knows of its end."""
_REFUSED = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
)


def dsn(url: URL) -> str:
    """The URL as libpq has it, its ``sslmode`` and other parameters included."""
    plain = url.set(drivername="postgresql")
    if "ssl" in plain.query:  # SQLAlchemy's name of it
        plain = plain.difference_update_query(["ssl"]).update_query_dict({"sslmode": plain.query["ssl"]})
    return plain.render_as_string(hide_password=False)


def connection_options(command_seconds: float) -> dict[str, Any]:
    """Arguments for every call of ``asyncpg.connect`` and ``asyncpg.create_pool``."""
    return {
        "timeout": _CONNECT_SECONDS,
        "command_timeout": command_seconds,
        "server_settings": dict(_SESSION),
    }


async def connect(address: str, command_seconds: float = 60.0) -> asyncpg.Connection[Any]:
    """A connection to ``dsn(url)``.

    Raises:
        StorageUnavailableError: the server lets nobody in under this URL; the message says why.
        OSError, TimeoutError: it does not answer.
    """
    try:
        return await asyncpg.connect(address, **connection_options(command_seconds))
    except (*_REFUSED, asyncpg.ClientConfigurationError) as error:
        raise StorageUnavailableError(
            f"The database refuses the connection: {str(error).rstrip('.')}."
        ) from error
    except socket.gaierror as error:
        raise StorageUnavailableError("The host of the database is not known.") from error


def end_frozen(seconds: float = FROZEN_SECONDS) -> TextClause:
    """Ends every session of ours that has kept its transaction waiting for longer; selects their number."""
    return text(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        " WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()"
        " AND application_name = :name AND state <> 'idle' AND wait_event_type = 'Client'"
        " AND greatest(query_start, state_change) < clock_timestamp() - make_interval(secs => :seconds)"
    ).bindparams(name=_NAME, seconds=seconds)
