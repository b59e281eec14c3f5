"""The real model, for tests of this folder."""

from __future__ import annotations

import pytest

from scriba.speakers.networks import OnnxNetworks
from tests.conftest import SpeakerFolder


@pytest.fixture(scope="session")
def networks(speaker_folder: SpeakerFolder) -> OnnxNetworks:
    return OnnxNetworks(speaker_folder.model)
