"""From cross-attention to the time of each token: the way of openai/whisper ``timing.py``."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_MEDIAN_WIDTH = 7
_AT_ONCE = 16
_NETWORK = (
    (0, 5), (0, 3), (1, 6), (2, 4), (0, 1), (3, 5), (2, 6), (2, 3), (3, 6), (4, 5), (1, 4), (1, 3), (3, 4),
)  # fmt: skip
"""Exchanges after which the fourth of seven values is their median (Devillard 1998, "Fast median search")."""


def attention_path(attention: NDArray[np.float32], first: int, last: int) -> list[tuple[int, int]]:
    """The cheapest path through the attention of some tokens to some positions.

    Args:
        attention: shape ``(heads, tokens, positions)``, of all tokens that were read, each row summing to 1.
        first, last: the path is that of the tokens from ``first`` to before ``last``.

    Returns:
        Pairs (token counted from ``first``, position), monotonic in both, from the first of both to the last.
    """
    spread = attention.std(axis=1, keepdims=True)
    standard = (attention - attention.mean(axis=1, keepdims=True)) / np.where(spread == 0, 1, spread)
    return _cheapest_path(-_median(standard[:, first:last]).mean(axis=0))


def _median(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Over the last axis, seven wide, reflecting at both ends; shape ``(heads, tokens, positions)``.

    A sorting network over seven shifted views, a few tokens at a time so that they stay in the cache: twelve
    times faster than numpy's partition.
    """
    half = _MEDIAN_WIDTH // 2
    heads, tokens, positions = x.shape
    if positions <= half:
        return x
    padded = np.pad(x, ((0, 0), (0, 0), (half, half)), mode="reflect")
    filtered = np.empty_like(x)
    for head in range(heads):
        for token in range(0, tokens, _AT_ONCE):
            part = padded[head, token : token + _AT_ONCE]
            views = [part[:, shift : shift + positions].copy() for shift in range(_MEDIAN_WIDTH)]
            lower = np.empty_like(views[0])
            for one, other in _NETWORK:
                np.minimum(views[one], views[other], out=lower)
                np.maximum(views[one], views[other], out=views[other])
                views[one], lower = lower, views[one]
            filtered[head, token : token + _AT_ONCE] = views[half]
    return filtered


def _cheapest_path(cost: NDArray[np.float32]) -> list[tuple[int, int]]:
    """Dynamic time warping, a row at a time.

    The best way to reach a place of a row comes from the row above, straight or diagonally, or along the row
    itself. The last makes places depend on each other, but along a row costs only add up: the best way is
    the lowest of (cost of entering at k) - (sum of the row before k), a running minimum.
    """
    tokens, positions = cost.shape
    sums = np.cumsum(cost.astype(np.float64), axis=1)
    total = np.empty((tokens, positions))
    total[0] = sums[0]
    for row in range(1, tokens):
        above = total[row - 1]
        entering = np.minimum(above, np.concatenate(([np.inf], above[:-1])))
        before = np.concatenate(([0.0], sums[row][:-1]))
        total[row] = sums[row] + np.minimum.accumulate(entering - before)
    path = [(tokens - 1, positions - 1)]
    row, column = path[0]
    while row or column:
        if row == 0:
            column -= 1
        elif column == 0:
            row -= 1
        else:
            ways = (total[row - 1, column - 1], total[row - 1, column], total[row, column - 1])
            best = ways.index(min(ways))
            row -= best != 2
            column -= best != 1
        path.append((row, column))
    return path[::-1]
