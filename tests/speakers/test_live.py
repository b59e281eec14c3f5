"""Real voices as a stream: who speaks is told as it goes, and put right at the end."""

from __future__ import annotations

import numpy as np

from scriba.domain.cancel import CancelToken
from scriba.domain.speakers import SpeakerOptions
from scriba.speakers.live import LiveSpeakers
from scriba.speakers.networks import OnnxNetworks
from scriba.speakers.voices import examine
from tests.speakers.voices import RATE, dialogue


def test_speakers_are_told_as_it_goes_and_in_the_end(networks: OnnxNetworks) -> None:
    audio, reference = dialogue()
    speakers = LiveSpeakers(SpeakerOptions())
    told: list[tuple[float, str | None]] = []
    for start in range(0, len(audio), RATE // 4):
        for sample, window in speakers.push(audio[start : start + RATE // 4]):
            assert len(window) <= 10 * RATE
            speakers.take(examine(networks, sample, window), len(window))
            now = (sample + len(window)) / RATE
            told.append((now - 0.9, speakers.at(now - 1.0, now - 0.8)))
    names = {"a": "SPEAKER_00", "b": "SPEAKER_01"}
    for part, (begin, end, who) in enumerate(reference):
        own = [name for at, name in told if begin + 2 < at < end - 0.5]
        assert own
        right = own.count(names[who]) / len(own)
        assert right > 0.6, (part, own)
    turns = speakers.finish(CancelToken())
    assert {turn.speaker for turn in turns} == set(names.values())
    for begin, end, who in reference:
        shared = sum(
            max(0.0, min(turn.end, end) - max(turn.start, begin))
            for turn in turns
            if turn.speaker == names[who]
        )
        assert shared > 0.5 * (end - begin)


def test_silence_has_nobody(networks: OnnxNetworks) -> None:
    speakers = LiveSpeakers(SpeakerOptions())
    for sample, window in speakers.push(np.zeros(12 * RATE, np.float32)):
        speakers.take(examine(networks, sample, window), len(window))
    assert speakers.at(1, 2) is None
    assert speakers.finish(CancelToken()) == []
