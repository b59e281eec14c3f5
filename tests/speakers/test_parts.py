"""The parts between the networks: groups, the timeline, and words."""

from __future__ import annotations

import numpy as np
import pytest

from scriba.domain.cancel import CancelToken
from scriba.domain.errors import CancelledByUserError, InvalidOptionError
from scriba.domain.speakers import KnownSpeaker, SpeakerOptions, SpeakerTurn
from scriba.domain.transcript import Segment, Word
from scriba.speakers.assigning import Speakers
from scriba.speakers.clustering import DIRECT, Bounds, agglomerate
from scriba.speakers.features import filterbank
from scriba.speakers.frames import WINDOW_FRAMES, WINDOW_SAMPLES
from scriba.speakers.naming import Known, People, names_of, turns
from scriba.speakers.timeline import Placed, Stretch, stretches
from scriba.speakers.windows import sliding


def clouds(groups: int, each: int, spread: float = 0.05, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings of ``groups`` voices, and whose each is."""
    random = np.random.default_rng(seed)
    centres = np.linalg.qr(random.standard_normal((192, groups)))[0].T
    whose = np.tile(np.arange(groups), each)
    rows = centres[whose] + spread * random.standard_normal((len(whose), 192)) / np.sqrt(192) * 10
    return rows.astype(np.float32), whose


def same_partition(found: np.ndarray, whose: np.ndarray) -> bool:
    pairs = set(zip(found.tolist(), whose.tolist(), strict=True))
    return len(pairs) == len(set(found.tolist())) == len(set(whose.tolist()))


@pytest.mark.parametrize(("groups", "each"), [(1, 5), (2, 3), (5, 40), (7, DIRECT // 3)])
def test_groups_are_found_few_or_many(groups: int, each: int) -> None:
    rows, whose = clouds(groups, each)
    found = agglomerate(rows, np.ones(len(rows)), 0.5, Bounds(), CancelToken())
    assert same_partition(found, whose)


def test_groups_are_as_many_as_wanted() -> None:
    rows, _ = clouds(4, 10)
    for wanted in (1, 2, 3, 4, 6):
        found = agglomerate(rows, np.ones(len(rows)), 0.5, Bounds(wanted, wanted), CancelToken())
        assert len(set(found.tolist())) == wanted


def test_a_group_of_little_speech_is_somebody_elses_unless_it_is_wanted() -> None:
    rows, whose = clouds(3, 10)
    weights = np.where(whose == 2, 0.1, 1.0)
    few = agglomerate(rows, weights, 0.5, Bounds(), CancelToken(), seconds=2.0)
    assert len(set(few.tolist())) == 2
    all_of_them = agglomerate(rows, weights, 0.5, Bounds(3, 3), CancelToken(), seconds=2.0)
    assert same_partition(all_of_them, whose)


def test_grouping_can_be_cancelled() -> None:
    rows, _ = clouds(2, 300)
    cancel = CancelToken()
    cancel.cancel()
    with pytest.raises(CancelledByUserError):
        agglomerate(rows, np.ones(len(rows)), 0.5, Bounds(), cancel)


def test_no_embeddings_are_no_groups() -> None:
    assert agglomerate(np.zeros((0, 192), np.float32), np.zeros(0), 0.5, Bounds(), CancelToken()).size == 0


def test_windows_cover_a_recording_once_it_is_cut_anyhow() -> None:
    sound = np.arange(27 * 16_000, dtype=np.float32)
    for size in (1_000, 16_000, 31_999, len(sound)):
        blocks = [sound[start : start + size] for start in range(0, len(sound), size)]
        windows = list(sliding(blocks, lambda _: 16_000))
        assert [start for start, _ in windows] == [16_000 * n for n in range(18)]
        assert all(np.array_equal(w, sound[at : at + WINDOW_SAMPLES]) for at, w in windows)


def test_a_window_that_would_bring_nothing_new_is_left_out() -> None:
    assert len(list(sliding([np.zeros(WINDOW_SAMPLES, np.float32)]))) == 1
    assert len(list(sliding([np.zeros(1, np.float32)]))) == 1
    assert list(sliding([])) == []


def test_windows_become_one_timeline_with_overlap() -> None:
    first = np.zeros((WINDOW_FRAMES, 3), np.bool_)
    first[:300, 0] = True
    first[200:500, 1] = True
    second = np.zeros((WINDOW_FRAMES, 3), np.bool_)
    shift = round(16_000 / 270)
    second[: 300 - shift, 2] = True
    second[200 - shift : 500 - shift, 0] = True
    found = stretches([Placed(0, first, (0, 1, -1)), Placed(16_000, second, (1, -1, 0))], 2, 12.0)
    assert [one.group for one in found] == [0, 1]
    assert found[0].start == pytest.approx(0.0, abs=0.05)
    assert found[0].end == pytest.approx(300 * 0.016875, abs=0.06)
    assert found[1].start == pytest.approx(200 * 0.016875, abs=0.06)
    assert found[1].start < found[0].end


def test_a_pause_does_not_end_a_turn_unless_somebody_else_speaks_in_it() -> None:
    names = {0: "a", 1: "b"}
    alone = turns([Stretch(0, 1, 0), Stretch(1.5, 2, 0), Stretch(4, 5, 0)], names, pause=0.7)
    assert alone == [SpeakerTurn(0, 2, "a"), SpeakerTurn(4, 5, "a")]
    other = turns([Stretch(0, 1, 0), Stretch(1.1, 1.3, 1), Stretch(1.5, 2, 0)], names, pause=0.7)
    assert other == [SpeakerTurn(0, 1, "a"), SpeakerTurn(1.1, 1.3, "b"), SpeakerTurn(1.5, 2, "a")]


def test_nobody_gets_the_name_of_a_known_speaker() -> None:
    voices = np.eye(2, 192, dtype=np.float32)
    found = [Stretch(0, 1, 0), Stretch(1, 2, 1)]
    known = [Known("SPEAKER_00", voices[1])]
    assert names_of(People(voices), found, known) == {0: "SPEAKER_01", 1: "SPEAKER_00"}


def said(*words: tuple[float, float, str]) -> Segment:
    own = tuple(Word(start, end, text, 0.9) for start, end, text in words)
    text = "".join(word.text for word in own).strip()
    return Segment(3, own[0].start, own[-1].end, text, "en", own, tokens=(1, 2, 3))


def test_a_segment_ends_where_the_speaker_changes_and_no_word_is_lost() -> None:
    speakers = Speakers([SpeakerTurn(0, 2, "a"), SpeakerTurn(2, 4, "b")])
    segment = said((0, 0.5, " One"), (0.6, 1.4, " two"), (2.1, 2.5, " three"), (2.6, 3.9, " four."))
    pieces = speakers.label(segment, words=True)
    assert [(piece.speaker, piece.text) for piece in pieces] == [("a", "One two"), ("b", "three four.")]
    assert [word.text for piece in pieces for word in piece.words or ()] == [
        w.text for w in segment.words or ()
    ]
    assert all(word.speaker == piece.speaker for piece in pieces for word in piece.words or ())
    assert pieces[0].start == 0
    assert pieces[0].end <= pieces[1].start
    assert pieces[1].end == segment.end
    assert speakers.label(pieces[0], words=True) == [pieces[0]]  # a second time changes nothing


def test_words_that_nobody_asked_for_are_not_told() -> None:
    speakers = Speakers([SpeakerTurn(0, 2, "a")])
    [piece] = speakers.label(said((0, 0.5, " One"), (0.6, 1.4, " two")), words=False)
    assert piece.words is None
    assert (piece.speaker, piece.text) == ("a", "One two")


def test_words_outside_every_turn_are_the_nearest_speakers() -> None:
    speakers = Speakers([SpeakerTurn(0, 20, "long"), SpeakerTurn(3, 4, "a"), SpeakerTurn(30, 40, "b")])
    assert speakers.at(21, 22) == "long"
    assert speakers.at(28.5, 29) == "b"
    assert speakers.at(50, 51) == "b"
    assert Speakers([]).at(0, 1) is None
    [piece] = Speakers([]).label(said((0, 1, " One")), words=True)
    assert piece.speaker is None


def test_a_word_at_a_blurred_edge_does_not_cut_a_sentence() -> None:
    speakers = Speakers([SpeakerTurn(0, 1, "a"), SpeakerTurn(1, 1.3, "b"), SpeakerTurn(1.3, 4, "a")])
    segment = said((0, 0.9, " One"), (1.0, 1.25, " two"), (1.4, 2, " three"))
    assert [piece.speaker for piece in speakers.label(segment, words=True)] == ["a"]


def test_features_are_kaldis() -> None:
    """A tone at 1 kHz: its band is the loudest, and its level that of Kaldi's definition."""
    time = np.arange(16_000) / 16_000
    features = filterbank((0.5 * np.sin(2 * np.pi * 1000 * time)).astype(np.float32))
    assert features.shape == (98, 80)
    mel = 1127 * np.log1p(np.array([20.0, 8000.0, 1000.0]) / 700)
    expected = (mel[2] - mel[0]) / (mel[1] - mel[0]) * 81 - 1
    assert abs(float(features[50].argmax()) - expected) <= 1
    assert filterbank(np.zeros(399, np.float32)).shape == (0, 80)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"count": 0}, "num_speakers"),
        ({"count": 65}, "num_speakers"),
        ({"minimum": -1}, "min_speakers"),
        ({"minimum": 3, "maximum": 2}, "min_speakers"),
        ({"count": 2, "maximum": 3}, "num_speakers"),
        ({"channels": True, "count": 2}, "speaker_channels"),
        ({"known": tuple(KnownSpeaker(str(n), b"x") for n in range(5))}, "known_speaker_names"),
        ({"known": (KnownSpeaker("a", b"x"), KnownSpeaker("a", b"y"))}, "known_speaker_names"),
    ],
)
def test_wishes_that_cannot_be_are_refused_by_name(options: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidOptionError) as raised:
        SpeakerOptions(**options)  # type: ignore[arg-type]
    assert raised.value.field == field
