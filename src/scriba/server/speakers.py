"""What tells speakers apart, put together from the settings."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from scriba.audio.decode import DecodeLimits
from scriba.models.residency import Residency
from scriba.models.speaker_model import SpeakerModelStore
from scriba.server.setting_groups import SpeakerEngine
from scriba.server.settings import Settings
from scriba.speakers.port import Diarizer, NetworkProvider

if TYPE_CHECKING:
    from scriba.speakers.networks import OnnxNetworks


def speaker_devices(settings: Settings) -> tuple[str, ...]:
    """Where speakers are told apart, by names of devices."""
    if settings.speakers.engine is SpeakerEngine.ONNX or settings.device == "cpu":
        return ("cpu",)
    return ("cuda",) if settings.device == "cuda" else ("cpu", "cuda")


def build_networks(settings: Settings, models: Path, residency: Residency[OnnxNetworks]) -> NetworkProvider:
    """Where the networks come from; nothing is fetched or loaded yet."""
    from scriba.speakers.provider import ResidentNetworks

    return ResidentNetworks(SpeakerModelStore(models), residency, may_fetch=settings.model_allow_pull)


def build_diarizer(settings: Settings, networks: NetworkProvider, limits: DecodeLimits) -> Diarizer:
    """The adapter that the settings name; no model is fetched or loaded yet."""
    from scriba.speakers.channels import ChannelDiarizer
    from scriba.speakers.diarizer import NetworkDiarizer
    from scriba.speakers.pyannote import PyannoteDiarizer, load_pipeline

    diarizer: Diarizer = NetworkDiarizer(networks, limits)
    if settings.speakers.engine is SpeakerEngine.PYANNOTE:
        token = None if settings.hf_token is None else settings.hf_token.get_secret_value()
        load = partial(load_pipeline, settings.speakers.pyannote_pipeline, token, settings.device)
        diarizer = PyannoteDiarizer(load, limits)
    return ChannelDiarizer(networks, diarizer, limits)
