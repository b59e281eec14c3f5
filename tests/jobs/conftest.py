"""A bucket, as machines share it."""

from __future__ import annotations

from collections.abc import Iterator

import boto3
import pytest
from moto.server import ThreadedMotoServer


@pytest.fixture
def bucket() -> Iterator[dict[str, str]]:
    """The settings that name a bucket on a server that speaks S3."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    endpoint = f"http://127.0.0.1:{port}"
    keys = {"aws_access_key_id": "scriba", "aws_secret_access_key": "not-a-secret"}
    boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", **keys).create_bucket(Bucket="shared")
    yield {
        "SCRIBA_STORE__BLOBS": "s3://shared/recordings",
        "SCRIBA_STORE__S3_ENDPOINT": endpoint,
        "SCRIBA_STORE__S3_REGION": "us-east-1",
        "SCRIBA_STORE__S3_ACCESS_KEY_ID": "scriba",
        "SCRIBA_STORE__S3_SECRET_ACCESS_KEY": "not-a-secret",
    }
    server.stop()
