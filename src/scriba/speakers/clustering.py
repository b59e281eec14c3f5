"""Voices told apart: which of many embeddings are one person's.

Agglomerative clustering by the angle between weighted centroids: the two nearest groups become one until the
nearest are further apart than one person's voice is from itself. Embeddings are weighted by the seconds of
speech they were made of.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scriba.domain.cancel import CancelToken

Vectors = NDArray[np.float32]
Labels = NDArray[np.int64]

DIRECT = 2_000
"""Embeddings that are clustered at once; more are first joined in stretches of time."""
_STRETCH = 1_000
_FAR = np.float32(4.0)
"""More than any cosine distance."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many groups there may be; ``maximum`` None is no bound."""

    minimum: int = 1
    maximum: int | None = None

    def __post_init__(self) -> None:
        if self.minimum < 1 or (self.maximum is not None and self.maximum < self.minimum):
            raise ValueError(f"no number of groups lies between {self.minimum} and {self.maximum}")


def normalised(vectors: Vectors) -> Vectors:
    """Each row at length 1."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    rows: Vectors = (vectors / np.maximum(lengths, 1e-9)).astype(np.float32)
    return rows


def agglomerate(
    vectors: Vectors,
    weights: NDArray[np.float64],
    threshold: float,
    bounds: Bounds,
    cancel: CancelToken,
    seconds: float = 0.0,
) -> Labels:
    """The group of each row of ``vectors`` (embeddings, dimensions), numbered from 0 without gaps.

    Args:
        weights: seconds of speech behind each row.
        threshold: cosine distance of centroids from which two groups are two people.
        seconds: weight below which a group is nobody of its own, as long as ``bounds`` can be kept.

    Raises:
        CancelledByUserError: ``cancel`` was set.
    """
    if len(vectors) == 0:
        return np.zeros(0, np.int64)
    rows = normalised(vectors)
    labels = np.arange(len(rows), dtype=np.int64)
    points, mass = rows, weights
    while len(points) > DIRECT:
        before = len(points)
        labels = _join_stretches(points, mass, threshold / 2, cancel)[labels]
        points, mass = _centroids(rows, weights, labels)
        if len(points) > 0.9 * before:
            # Hardly anything is alike: memory has to stay bounded, so what is likely alike is joined, too.
            labels = _join_stretches(points, mass, threshold * 0.75, cancel)[labels]
            points, mass = _centroids(rows, weights, labels)
            break
    merges = _merge_order(points, mass, cancel)
    groups = _cut(points, mass, merges, threshold, bounds, seconds)
    return groups[labels]


def _join_stretches(
    points: Vectors, mass: NDArray[np.float64], threshold: float, cancel: CancelToken
) -> Labels:
    """Join what is surely one voice within each stretch of time."""
    labels = np.empty(len(points), np.int64)
    found = 0
    for start in range(0, len(points), _STRETCH):
        part = slice(start, start + _STRETCH)
        merges = _merge_order(points[part], mass[part], cancel)
        own = _labels_after(len(points[part]), [m for m in merges if m[2] < threshold])
        labels[part] = own + found
        found += int(own.max()) + 1
    return labels


def _centroids(
    rows: Vectors, weights: NDArray[np.float64], labels: Labels
) -> tuple[Vectors, NDArray[np.float64]]:
    return weighted_centroids(rows, weights, labels), np.bincount(labels, weights).astype(np.float64)


def weighted_centroids(rows: Vectors, weights: NDArray[np.float64], labels: Labels) -> Vectors:
    """The centroid of each group, of length 1; ``rows`` are of length 1."""
    sums = np.zeros((int(labels.max()) + 1, rows.shape[1]), np.float32)
    for start in range(0, len(rows), _STRETCH):  # without a second copy of them all
        part = slice(start, start + _STRETCH)
        np.add.at(sums, labels[part], rows[part] * weights[part, None].astype(np.float32))
    return normalised(sums)


Merge = tuple[int, int, float]
"""Two rows whose groups become one (the first keeps it), and how far apart those were."""


def _merge_order(points: Vectors, mass: NDArray[np.float64], cancel: CancelToken) -> list[Merge]:
    """All merges down to one group, the nearest first at every step."""
    count = len(points)
    sums = points.astype(np.float64) * mass[:, None]
    centroids = points.copy()
    distance = 1.0 - centroids @ centroids.T
    np.fill_diagonal(distance, _FAR)
    nearest = distance.argmin(axis=1)
    least = distance[np.arange(count), nearest]
    alive = np.ones(count, np.bool_)
    merges: list[Merge] = []
    for step in range(count - 1):
        if step % 64 == 0:
            cancel.check()
        a = int(least.argmin())
        b = int(nearest[a])
        merges.append((a, b, float(least[a])))
        sums[a] += sums[b]
        centroids[a] = sums[a] / max(float(np.linalg.norm(sums[a])), 1e-9)
        alive[b] = False
        distance[b, :] = distance[:, b] = least[b] = _FAR
        row = np.where(alive, 1.0 - centroids @ centroids[a], _FAR).astype(np.float32)
        row[a] = _FAR
        distance[a, :] = distance[:, a] = row
        stale = alive & ((nearest == a) | (nearest == b))
        stale[a] = True
        for index in np.flatnonzero(stale):
            nearest[index] = distance[index].argmin()
            least[index] = distance[index, nearest[index]]
        closer = alive & (row < least)
        nearest[closer], least[closer] = a, row[closer]
    return merges


def _labels_after(count: int, merges: list[Merge]) -> Labels:
    """Groups once these merges are done, numbered in order of their first row."""
    parent = np.arange(count)
    for a, b, _ in merges:
        parent[b] = a
    # A merge keeps ``a`` alive, so chains end at a living row.
    for _ in range(count):
        above = parent[parent]
        if np.array_equal(above, parent):
            break
        parent = above
    _, first, inverse = np.unique(parent, return_index=True, return_inverse=True)
    order = np.argsort(np.argsort(first))
    labels: Labels = order[inverse].astype(np.int64)
    return labels


def _cut(
    points: Vectors,
    mass: NDArray[np.float64],
    merges: list[Merge],
    threshold: float,
    bounds: Bounds,
    seconds: float,
) -> Labels:
    """Undo the merges beyond the threshold, then give groups of too little speech to their nearest."""
    count = len(points)
    # Centroids may come nearer by merging: everything before the last merge below the threshold is done.
    done = max((index + 1 for index, merge in enumerate(merges) if merge[2] < threshold), default=0)
    # Where more groups are wanted than there are, of whatever size, merges are undone. Where there are
    # enough, a small group far from the others is rather somebody than half of a large one is.
    done = min(done, max(0, count - bounds.minimum))
    labels = _labels_after(count, merges[:done])
    if bounds.maximum is not None:
        while done < len(merges) and _large(mass, labels, seconds) > bounds.maximum:
            done += 1
            labels = _labels_after(count, merges[:done])
    return _without_small(points, mass, labels, bounds, seconds)


def _large(mass: NDArray[np.float64], labels: Labels, seconds: float) -> int:
    sizes = np.bincount(labels, mass)
    return max(1, int((sizes >= seconds).sum()))


def _without_small(
    points: Vectors, mass: NDArray[np.float64], labels: Labels, bounds: Bounds, seconds: float
) -> Labels:
    centroids, sizes = _centroids(points, mass, labels)
    order = np.argsort(-sizes, kind="stable")
    keep = max(int((sizes >= seconds).sum()), bounds.minimum)
    if bounds.maximum is not None:
        keep = min(keep, bounds.maximum)
    kept = order[: max(1, keep)]
    home = kept[(centroids @ centroids[kept].T).argmax(axis=1)]
    home[kept] = kept
    joined = home[labels]
    _, inverse = np.unique(joined, return_inverse=True)
    result: Labels = inverse.astype(np.int64)
    return result
