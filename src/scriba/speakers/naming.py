"""From voices to persons: groups, the local speakers that are theirs, and their names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count, permutations

import numpy as np
from numpy.typing import NDArray

from scriba.domain.cancel import CancelToken
from scriba.domain.speakers import SpeakerOptions, SpeakerTurn, speaker_name
from scriba.speakers.clustering import Bounds, Vectors, agglomerate, normalised, weighted_centroids
from scriba.speakers.frames import LOCAL_SPEAKERS, WINDOW_SECONDS
from scriba.speakers.timeline import Placed, Stretch
from scriba.speakers.voices import PIECE_SECONDS, Examined
from scriba.speakers.windows import HOP_SECONDS

APART = 0.5
"""Cosine distance of two groups' centroids from which they are two people: between the 0.1 to 0.35 that
halves of one person's speech are apart and the 0.6 to 1.1 of two people's."""
KNOWN_APART = 0.55
"""The same between a group and the clip of a known speaker, which is shorter and may be another recording."""
_CLEARLY = 0.15
"""How much nearer somebody else has to be to be believed against the network."""
_TRAIN_SECONDS = 1.0
"""Speech alone that a voice has to have to take part in forming groups, if enough of them have."""
_LEAST_SHARE, _LEAST_SECONDS = 0.02, 3.0
"""A group with less speech than this (the smaller of both) is a fragment of somebody else."""


@dataclass(frozen=True, slots=True)
class Known:
    """A known speaker's name and embedding (192,)."""

    name: str
    embedding: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class People:
    """``centroids`` (people, 192) of length 1."""

    centroids: Vectors

    def __len__(self) -> int:
        return len(self.centroids)


def find_people(windows: Sequence[Examined], options: SpeakerOptions, cancel: CancelToken) -> People:
    """Group all voices.

    Raises:
        CancelledByUserError: ``cancel`` was set.
    """
    voices = [voice for window in windows for voice in window.voices]
    if not voices:
        return People(np.zeros((0, 0), np.float32))
    vectors = np.stack([voice.embedding for voice in voices])
    alone = np.array([voice.alone for voice in voices])
    # Short voices blur the groups; where there is nothing else, they have to do.
    train = alone >= min(_TRAIN_SECONDS, float(np.percentile(alone, 60)))
    if train.sum() < options.least:
        train[:] = True
    weights = np.maximum(alone[train], 0.1)
    # Windows overlap, so that speech is counted about five times.
    least = min(_LEAST_SECONDS * WINDOW_SECONDS / HOP_SECONDS, _LEAST_SHARE * float(weights.sum()))
    bounds = Bounds(options.least, options.most)
    own = normalised(vectors[train])
    del vectors
    labels = agglomerate(own, weights, APART, bounds, cancel, seconds=least)
    return People(weighted_centroids(own, weights, labels))


def place(window: Examined, people: People) -> Placed:
    """Give each local speaker of a window the nearest person, no two the same as long as there are enough."""
    voices = window.voices
    activity = window.activity
    if not voices or not len(people):
        return Placed(window.sample, activity, (-1,) * LOCAL_SPEAKERS)
    near = normalised(np.stack([voice.embedding for voice in voices])) @ people.centroids.T
    weighed = near * np.array([max(voice.alone, 0.1) for voice in voices])[:, None]
    locals_ = sorted({voice.local for voice in voices})
    scores = np.stack([weighed[[v.local == local for v in voices]].sum(axis=0) for local in locals_])
    person_of = dict(zip(locals_, _match(scores), strict=True))
    columns: list[NDArray[np.bool_]] = []
    groups: list[int] = []
    for voice, own in zip(voices, near, strict=True):
        person, best = person_of[voice.local], int(own.argmax())
        # A long piece that is clearly somebody else's: the network took two people for one.
        if voice.alone >= PIECE_SECONDS and own[best] - own[person] > _CLEARLY:
            person = best
        columns.append(voice.frames)
        groups.append(person)
        activity[:, voice.local] &= ~columns[-1]
    # What is left was too short to be anybody's, and still counts as speech.
    return Placed(window.sample, np.column_stack([*columns, activity]), (*groups, *(-1,) * LOCAL_SPEAKERS))


def _match(score: NDArray[np.float64]) -> list[int]:
    """The column of each row that is best for all rows together."""
    rows, columns = score.shape
    if columns < rows:
        return [int(column) for column in score.argmax(axis=1)]
    # Only the best few columns of a row can be in the best choice.
    few = sorted({int(c) for row in score for c in np.argsort(-row)[:rows]})
    best = max(permutations(few, rows), key=lambda chosen: sum(score[r, c] for r, c in enumerate(chosen)))
    return list(best)


def names_of(people: People, stretches: Sequence[Stretch], known: Sequence[Known]) -> dict[int, str]:
    """A name for every group that speaks: a known speaker's where the voice is theirs, else a number."""
    names: dict[int, str] = {}
    if known and len(people):
        clips = normalised(np.stack([one.embedding for one in known]))
        apart = 1.0 - people.centroids @ clips.T
        # Two groups may be one known person, heard differently; nobody gets two names.
        for group in np.argsort(apart.min(axis=1)):
            nearest = int(apart[group].argmin())
            if apart[group, nearest] < KNOWN_APART:
                names[int(group)] = known[nearest].name
    # Whoever is known as SPEAKER_00 keeps that name to themselves.
    taken = {one.name for one in known}
    free = (name for name in map(speaker_name, count()) if name not in taken)
    for stretch in stretches:
        if stretch.group not in names:
            names[stretch.group] = next(free)
    return names


def turns(stretches: Sequence[Stretch], names: dict[int, str], *, pause: float) -> list[SpeakerTurn]:
    """Stretches by name; two of one speaker are one turn if less than ``pause`` seconds lie between them, in
    which nobody else speaks."""
    spoken_to = 0.0
    last: dict[str, int] = {}
    found: list[SpeakerTurn] = []
    for stretch in stretches:
        name = names[stretch.group]
        index = last.get(name)
        # Nobody else has spoken since that turn's end if it is the last that anybody spoke.
        quiet = index is not None and found[index].end >= spoken_to
        spoken_to = max(spoken_to, stretch.end)
        if index is not None and (
            stretch.start <= found[index].end or (quiet and stretch.start - found[index].end < pause)
        ):
            before = found[index]
            found[index] = SpeakerTurn(before.start, max(before.end, stretch.end), name)
        else:
            last[name] = len(found)
            found.append(SpeakerTurn(stretch.start, stretch.end, name))
    return sorted(found, key=lambda turn: (turn.start, turn.end, turn.speaker))
