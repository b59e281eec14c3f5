"""What parts voice from music, put together from the settings."""

from __future__ import annotations

from scriba.models.sources.hub_client import HubClient
from scriba.separation.process import SeparationProcess
from scriba.separation.store import SeparationStore
from scriba.server.decode_limits import decode_limits
from scriba.server.settings import Settings


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
    """The work itself. Starts no process yet."""
    return SeparationProcess(
        build_separation_store(settings),
        decode_limits(settings),
        settings.spool_dir,
        default=settings.separation.model,
    )
