"""Real voices through the real networks: who speaks when."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from scriba.domain.cancel import CancelToken
from scriba.domain.errors import CancelledByUserError, InvalidOptionError, UnsupportedMediaError
from scriba.domain.speakers import KnownSpeaker, SpeakerOptions, SpeakerTurn
from scriba.speakers.channels import ChannelDiarizer
from scriba.speakers.diarizer import NetworkDiarizer
from scriba.speakers.networks import OnnxNetworks
from tests.speakers.voices import RATE, Own, Threads, dialogue, sound, write
from tests.speech import beckett, endgame, other_voice, recordings, two_cities


def find(
    networks: OnnxNetworks,
    path: Path,
    options: SpeakerOptions | None = None,
    cancel: CancelToken | None = None,
) -> list[SpeakerTurn]:
    diarizer = ChannelDiarizer(Own(networks), NetworkDiarizer(Own(networks)))
    return diarizer.run(
        path, options or SpeakerOptions(), Threads(), cancel or CancelToken(), lambda _done, _of: None
    )


def seconds_of(turns: list[SpeakerTurn], speaker: str, start: float, end: float) -> float:
    return sum(
        max(0.0, min(turn.end, end) - max(turn.start, start)) for turn in turns if turn.speaker == speaker
    )


def test_two_voices_are_two_speakers_at_their_times(networks: OnnxNetworks, tmp_path: Path) -> None:
    audio, reference = dialogue()
    turns = find(networks, write(tmp_path / "two.wav", audio))
    assert {turn.speaker for turn in turns} == {"SPEAKER_00", "SPEAKER_01"}
    assert turns == sorted(turns, key=lambda turn: turn.start)
    names = {"a": "SPEAKER_00", "b": "SPEAKER_01"}
    for start, end, who in reference:
        other = names["b" if who == "a" else "a"]
        assert seconds_of(turns, names[who], start, end) > 0.5 * (end - start)
        assert seconds_of(turns, other, start, end) < 0.1 * (end - start)


def test_short_turns_of_two_are_told_apart(networks: OnnxNetworks) -> None:
    turns = find(networks, endgame())
    assert len({turn.speaker for turn in turns}) == 2
    assert len(turns) >= 8


def test_one_voice_is_one_speaker(networks: OnnxNetworks) -> None:
    turns = find(networks, two_cities())
    assert {turn.speaker for turn in turns} == {"SPEAKER_00"}
    assert seconds_of(turns, "SPEAKER_00", 0, 44.4) > 35


@pytest.mark.parametrize("count", [1, 2])
def test_a_number_of_speakers_is_kept(networks: OnnxNetworks, tmp_path: Path, count: int) -> None:
    audio, _ = dialogue()
    path = write(tmp_path / "two.wav", audio)
    assert len({turn.speaker for turn in find(networks, path, SpeakerOptions(count=count))}) == count


def test_bounds_are_kept(networks: OnnxNetworks, tmp_path: Path) -> None:
    audio, _ = dialogue()
    path = write(tmp_path / "two.wav", audio)
    assert len({turn.speaker for turn in find(networks, path, SpeakerOptions(maximum=1))}) == 1
    assert len({turn.speaker for turn in find(networks, path, SpeakerOptions(minimum=1, maximum=5))}) == 2


def test_long_silence_has_no_speaker(networks: OnnxNetworks, tmp_path: Path) -> None:
    assert find(networks, write(tmp_path / "silence.wav", np.zeros(90 * RATE, np.float32))) == []
    voice = sound(beckett())
    audio = np.concatenate([np.zeros(60 * RATE, np.float32), voice, np.zeros(60 * RATE, np.float32)])
    turns = find(networks, write(tmp_path / "late.wav", audio))
    assert {turn.speaker for turn in turns} == {"SPEAKER_00"}
    assert all(59.5 < turn.start < turn.end < 70.5 for turn in turns)


def test_a_moment_of_sound_is_enough_to_end_well(networks: OnnxNetworks, tmp_path: Path) -> None:
    assert find(networks, write(tmp_path / "short.wav", sound(beckett())[: RATE // 20])) == []


def test_a_known_speaker_has_a_name(networks: OnnxNetworks, tmp_path: Path) -> None:
    audio, reference = dialogue()
    clip = write(tmp_path / "clip.wav", sound(two_cities())[30 * RATE : 38 * RATE]).read_bytes()
    turns = find(
        networks,
        write(tmp_path / "two.wav", audio),
        SpeakerOptions(known=(KnownSpeaker("The reader", clip),)),
    )
    assert {turn.speaker for turn in turns} == {"The reader", "SPEAKER_00"}
    start, end, _ = reference[0]
    assert seconds_of(turns, "The reader", start, end) > 0.5 * (end - start)


@pytest.mark.parametrize(
    ("clip", "why"),
    [
        (np.zeros(3 * RATE, np.float32), "nobody speaks"),
        (np.zeros(1 * RATE, np.float32), "2 to 10 seconds"),
        (np.zeros(14 * RATE, np.float32), "2 to 10 seconds"),
    ],
)
def test_a_clip_without_a_voice_or_of_the_wrong_length_is_refused(
    networks: OnnxNetworks, tmp_path: Path, clip: np.ndarray[tuple[int], np.dtype[np.float32]], why: str
) -> None:
    known = KnownSpeaker("Anna", write(tmp_path / "clip.wav", clip).read_bytes())
    with pytest.raises(InvalidOptionError, match=why) as raised:
        find(networks, beckett(), SpeakerOptions(known=(known,)))
    assert raised.value.field == "known_speaker_references"


def test_a_clip_that_is_no_recording_is_refused(networks: OnnxNetworks) -> None:
    with pytest.raises(InvalidOptionError, match="'Anna' cannot be used"):
        find(networks, beckett(), SpeakerOptions(known=(KnownSpeaker("Anna", b"no recording"),)))


def test_channels_are_speakers_and_an_echo_is_none(networks: OnnxNetworks, tmp_path: Path) -> None:
    first, second = sound(two_cities())[: 10 * RATE], np.tile(sound(other_voice()), 2)
    left = np.concatenate([first, np.zeros_like(second)])
    right = np.concatenate([np.zeros_like(first), second])
    path = write(
        tmp_path / "stereo.wav",
        (left + 0.1 * right).astype(np.float32),
        (0.5 * right + 0.1 * left).astype(np.float32),
    )
    turns = find(networks, path, SpeakerOptions(channels=True))
    assert seconds_of(turns, "SPEAKER_00", 0, 10) > 6
    assert seconds_of(turns, "SPEAKER_01", 0, 10) < 0.5
    assert seconds_of(turns, "SPEAKER_01", 10, 18) > 6
    assert seconds_of(turns, "SPEAKER_00", 10, 18) < 0.5


@pytest.mark.parametrize(("left", "right", "speaker"), [(1.0, 1.0, 0), (1.0, 0.25, 0), (0.4, 1.0, 1)])
def test_one_voice_in_two_channels_is_one_speaker(
    networks: OnnxNetworks, tmp_path: Path, left: float, right: float, speaker: int
) -> None:
    voice = sound(two_cities())[: 10 * RATE]
    path = write(tmp_path / "mono.wav", np.float32(left) * voice, np.float32(right) * voice)
    turns = find(networks, path, SpeakerOptions(channels=True))
    assert {turn.speaker for turn in turns} == {f"SPEAKER_{speaker:02d}"}
    assert seconds_of(turns, f"SPEAKER_{speaker:02d}", 0, 10) > 6


def test_channels_of_a_mono_recording_are_refused(networks: OnnxNetworks) -> None:
    with pytest.raises(InvalidOptionError, match="this one has 1"):
        find(networks, beckett(), SpeakerOptions(channels=True))


def test_a_broken_recording_is_refused(networks: OnnxNetworks, tmp_path: Path) -> None:
    path = tmp_path / "broken.wav"
    path.write_bytes(b"RIFF" + bytes(200))
    with pytest.raises(UnsupportedMediaError):
        find(networks, path)


def test_a_cancel_ends_the_work_within_a_second(networks: OnnxNetworks, tmp_path: Path) -> None:
    audio = np.tile(sound(two_cities()), 30)
    path = write(tmp_path / "long.wav", audio)
    cancel = CancelToken()
    cancelled: list[float] = []

    def stop() -> None:
        cancelled.append(time.monotonic())
        cancel.cancel()

    timer = threading.Timer(1.0, stop)
    timer.start()
    with pytest.raises(CancelledByUserError):
        find(networks, path, cancel=cancel)
    assert time.monotonic() - cancelled[0] < 1.0


@pytest.mark.speech
def test_a_telephone_call_of_two(networks: OnnxNetworks) -> None:
    [path] = [one.path for one in recordings("conversation") if one.path.stem == "pyannote_sample"]
    assert len({turn.speaker for turn in find(networks, path)}) == 2
