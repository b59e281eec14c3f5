"""The database's own clock: machines that share a database need not agree on the time."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Float
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


class DatabaseNow(FunctionElement[float]):
    """Seconds since the epoch, with fractions, when the statement runs."""

    type = Float()
    inherit_cache = True
    name = "database_now"


@compiles(DatabaseNow, "sqlite")
def _sqlite(_: DatabaseNow, __: Any, **___: Any) -> str:
    # Not unixepoch('subsec'): SQLite before 3.42 has only whole seconds there.
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(DatabaseNow, "postgresql")
def _postgresql(_: DatabaseNow, __: Any, **___: Any) -> str:
    return "extract(epoch from clock_timestamp())::double precision"


def now() -> DatabaseNow:
    return DatabaseNow()
