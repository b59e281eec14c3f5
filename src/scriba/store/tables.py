"""The tables. Migrations build them (``scriba.store.migrations``); a test keeps the two equal.

Times are seconds since the epoch by the database's clock, as double precision.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Dialect,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    text,
)


class Key(TypeDecorator[str]):
    """Text of a bounded length that clients may look things up by.

    A byte of zero in it finds nothing; PostgreSQL would fail the statement.
    """

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - the base's
        return None if value is None else value.replace("\0", "\ufffd")


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

media = Table(
    "media",
    metadata,
    Column("id", Key(36), primary_key=True),
    Column("sha256", String(64), nullable=False, unique=True),
    Column("size", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("blob_key", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("used_at", Double, nullable=False),
    # When it was put into the library (interface B); None for what only a job brought along.
    Column("listed_at", Double),
    Index("ix_media_used_at", "used_at"),
    Index("ix_media_listed_at", "listed_at"),
)

results = Table(
    "results",
    metadata,
    Column("id", Key(36), primary_key=True),
    # Of the work that made it: what is done with which recording.
    Column("fingerprint", String(64), nullable=False, index=True),
    Column("kind", String(32), nullable=False),
    Column("blob_key", Text, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("created_at", Double, nullable=False),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", Key(36), primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("door", String(32), nullable=False),
    Column("state", String(16), nullable=False),
    Column("priority", Integer, nullable=False),
    # No foreign key: a job outlives its recording.
    Column("media_id", Key(36)),
    Column("options", Text, nullable=False),
    Column("request", Text, nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("idempotency_key", String(255), unique=True),
    Column("attempt", Integer, nullable=False),
    Column("max_attempts", Integer, nullable=False),
    Column("owner", String(128)),
    Column("lease_until", Double),
    Column("not_before", Double, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    Column("started_at", Double),
    Column("finished_at", Double),
    Column("progress_done", Double, nullable=False),
    Column("progress_total", Double),
    Column("language", String(8)),
    Column("audio_duration", Double),
    Column("processing_seconds", Double),
    Column("webhook_url", Text),
    Column("result_id", String(36), ForeignKey("results.id", ondelete="SET NULL")),
    Column("error_code", String(64)),
    Column("error", Text),
    Index("ix_jobs_created_at", "created_at", "id"),
    Index("ix_jobs_door_created_at", "door", "created_at", "id"),
    Index("ix_jobs_media_id", "media_id"),
    Index("ix_jobs_result_id", "result_id"),
)
Index(
    "ix_jobs_due",
    jobs.c.priority.desc(),
    jobs.c.created_at,
    jobs.c.id,
    sqlite_where=text("state = 'queued'"),
    postgresql_where=text("state = 'queued'"),
)
Index(
    "ix_jobs_leased",
    jobs.c.lease_until,
    sqlite_where=text("state = 'running'"),
    postgresql_where=text("state = 'running'"),
)

windows = Table(
    "windows",
    metadata,
    Column("job_id", String(36), ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("document", Text, nullable=False),
)

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", Key(64), primary_key=True),
    Column("job_id", Key(36), nullable=False, index=True),
    Column("url", Text, nullable=False),
    Column("payload", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("not_before", Double, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    Column("status", Integer),
    Column("error", Text),
    Index("ix_webhooks_state_not_before", "state", "not_before"),
)

uploads = Table(
    "uploads",
    metadata,
    Column("id", Key(36), primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("received", BigInteger, nullable=False),
    Column("upload_metadata", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False, index=True),
    Column("owner", String(36)),
    Column("lease_until", Double),
    Column("media_id", Key(36)),
)

upload_parts = Table(
    "upload_parts",
    metadata,
    Column("upload_id", String(36), ForeignKey("uploads.id", ondelete="CASCADE"), primary_key=True),
    Column("start", BigInteger, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("blob_key", Text, nullable=False),
)
