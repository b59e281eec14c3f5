"""Groups of settings of what is remembered: recordings, results, jobs."""

from __future__ import annotations

import base64
import binascii

from pydantic import Field, SecretStr

from scriba.server.setting_groups import Group


class StoreSettings(Group):
    """Where recordings and results lie, and for how long."""

    blobs: str | None = Field(
        None,
        description="A folder, or `s3://bucket/prefix`. Unset: `blobs` in the data folder. Several machines "
        "need a bucket, or a folder they share.",
    )
    s3_endpoint: str | None = Field(None, description="Address of the S3 server, when it is not Amazon's.")
    s3_region: str | None = Field(None, description="Its region; unset: `AWS_REGION`.")
    s3_access_key_id: str | None = Field(None, description="Unset: `AWS_ACCESS_KEY_ID`, or the role.")
    s3_secret_access_key: SecretStr | None = Field(None, description="Unset: `AWS_SECRET_ACCESS_KEY`.")
    quota_mb: int = Field(
        0,
        ge=0,
        description="Recordings and results may take so much together, in megabytes of 1,000,000 bytes; "
        "0: as much as the disk has.",
    )
    media_days: float = Field(
        30.0,
        ge=0,
        description="A recording that no unfinished job needs and the library does not show is removed so "
        "many days after its last use; 0: never.",
    )
    result_days: float = Field(0.0, ge=0, description="Results are removed after so many days; 0: never.")

    def s3_options(self) -> dict[str, str]:
        """By obstore's names; what is unset is left to the environment."""
        secret = self.s3_secret_access_key
        values = {
            "endpoint": self.s3_endpoint,
            "region": self.s3_region,
            "access_key_id": self.s3_access_key_id,
            "secret_access_key": None if secret is None else secret.get_secret_value(),
        }
        return {name: value for name, value in values.items() if value}


class JobSettings(Group):
    """How queued work is done."""

    worker: bool = Field(
        True, description="`scriba serve` does jobs itself; `false` leaves them to `scriba worker`."
    )
    slots: int = Field(2, ge=1, le=64, description="Jobs that one process does at the same time.")
    lease_seconds: float = Field(
        6.0, ge=1, le=3600, description="A worker without a sign of life for so long has lost its jobs."
    )
    max_attempts: int = Field(3, ge=1, le=100, description="So often a job is tried before it has failed.")


def check_webhook_secret(secret: str) -> None:
    """
    Raises:
        ValueError: it is not of Standard Webhooks' form.
    """
    try:
        raw = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (ValueError, binascii.Error):
        raise ValueError("a webhook secret is whsec_ and base64") from None
    if not secret.startswith("whsec_") or not 24 <= len(raw) <= 64:
        raise ValueError("a webhook secret is whsec_ and base64 of 24 to 64 bytes")
