"""What parts voice from music, put together from the settings."""

from __future__ import annotations

import structlog

from scriba.models.sources.hub_client import HubClient
from scriba.separation.catalogue import resolve
from scriba.separation.process import SeparationProcess
from scriba.separation.store import SeparationStore, missing
from scriba.server.decode_limits import decode_limits
from scriba.server.settings import Settings

log = structlog.get_logger(__name__)


def build_separation_store(settings: Settings) -> SeparationStore:
    """The models. Touches no network."""
    token = settings.hf_token.get_secret_value() if settings.hf_token is not None else None
    folder = settings.separation.folder
    return SeparationStore(
        settings.data_dir / "separation",
        folder.expanduser() if folder is not None else None,
        [source.value for source in settings.model_sources],
        hub=HubClient(token=token),
    )


def build_separation(settings: Settings) -> SeparationProcess:
    """The work itself. Starts no process yet. A default that is not here is told of at once."""
    store = build_separation_store(settings)
    model = resolve(settings.separation.model)
    if settings.separation.enabled and store.find(model) is None:
        log.warning("every recording shall be parted from music, and cannot", why=missing(model))
    return SeparationProcess(
        store,
        decode_limits(settings),
        settings.spool_dir,
        default=settings.separation.model,
    )
