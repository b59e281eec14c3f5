"""Bringing the database to this version's revision."""

from __future__ import annotations

from importlib.resources import files

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Connection, text

from scriba.domain.errors import ConflictError
from scriba.store.database import Database

_LOCK = 0x5C81BA
"""Any number that nobody else in this database uses: PostgreSQL's advisory lock for migrations."""


async def migrate(database: Database, revision: str = "head") -> None:
    """Apply every revision that is missing, in one transaction. Several processes may start at once.

    Raises:
        ConflictError: a newer Scriba has used this database.
    """
    async with database.write() as connection:
        if not database.is_sqlite:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        await connection.run_sync(_upgrade, revision)


def config(connection: Connection) -> Config:
    made = Config()
    made.set_main_option("script_location", str(files("scriba.store") / "migrations"))
    made.attributes["connection"] = connection
    return made


def _upgrade(connection: Connection, revision: str) -> None:
    settings = config(connection)
    present = MigrationContext.configure(connection).get_current_revision()
    script = ScriptDirectory.from_config(settings)
    if present is not None:
        try:
            script.get_revision(present)
        except CommandError:
            raise ConflictError(
                f"The database is of a newer version of Scriba (its revision is {present}). Update Scriba."
            ) from None
    if present != (script.get_current_head() if revision == "head" else revision):
        command.upgrade(settings, revision)
