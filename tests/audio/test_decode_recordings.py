"""Real recordings from browsers and phones, where they lie beside the clone."""

from __future__ import annotations

import numpy as np
import pytest

from scriba.audio.decode import open_recording
from scriba.domain.errors import UnsupportedMediaError
from tests import speech


@pytest.mark.speech
@pytest.mark.parametrize("folder", ["formats", "mediarecorder"])
def test_every_recording_has_its_length_and_sound(folder: str) -> None:
    checked = 0
    for recording in speech.recordings(folder):
        about = recording.about
        if "corrupt" in about.get("note", "").lower():
            continue
        with open_recording(recording.path) as opened:
            samples = np.concatenate(list(opened.blocks()))
        expected = about.get("duration") or opened.info.duration
        if expected is not None:
            # Raw AAC states a bit rate, not a length, and its reference was computed from that.
            tolerance = 0.45 if opened.info.container == "aac" else 0.15
            assert len(samples) / 16_000 == pytest.approx(expected, abs=tolerance), recording.path.name
        assert 0.01 < float(np.std(samples)) < 0.5, recording.path.name
        checked += 1
    assert checked >= 12


@pytest.mark.speech
def test_the_corrupt_recording_is_refused() -> None:
    corrupt = [r for r in speech.recordings("formats") if "corrupt" in r.about.get("note", "").lower()]
    assert corrupt
    for recording in corrupt:
        with pytest.raises(UnsupportedMediaError, match="corrupt"), open_recording(recording.path) as opened:
            list(opened.blocks())


@pytest.mark.speech
def test_one_speech_in_three_recorder_formats_sounds_the_same() -> None:
    """What a browser recorded as webm (two ways) and as mp4 has the same length within its priming."""
    by_name = {recording.path.name: recording.path for recording in speech.recordings("mediarecorder")}
    for stem in ("jfk", "de", "fr", "conv2spk"):
        lengths = []
        for ending in ("noslice.webm", "slice250.webm", "opus.mp4"):
            with open_recording(by_name[f"{stem}_{ending}"]) as opened:
                lengths.append(sum(map(len, opened.blocks())) / 16_000)
        assert max(lengths) - min(lengths) < 0.1
