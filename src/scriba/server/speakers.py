"""What tells speakers apart, put together from the settings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from scriba.audio.decode import DecodeLimits
from scriba.models.residency import Residency
from scriba.models.speaker_model import SpeakerModelStore
from scriba.server.settings import Settings
from scriba.speakers.port import Diarizer

if TYPE_CHECKING:
    from scriba.speakers.networks import OnnxNetworks


def build_diarizer(
    settings: Settings, models: Path, residency: Residency[OnnxNetworks], limits: DecodeLimits
) -> Diarizer:
    """The adapter that the settings name; no model is fetched or loaded yet."""
    from scriba.speakers.diarizer import NetworkDiarizer
    from scriba.speakers.provider import ResidentNetworks

    store = SpeakerModelStore(models)
    return NetworkDiarizer(ResidentNetworks(store, residency, may_fetch=settings.model_allow_pull), limits)
