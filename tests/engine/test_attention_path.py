"""Times from attention, against the plain algorithms."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from scriba.engine.attention_path import _cheapest_path, _median, attention_path


def plain_cost(cost: NDArray[np.float32]) -> float:
    """The cheapest way's cost, place by place (openai/whisper ``dtw_cpu``)."""
    rows, columns = cost.shape
    total = np.full((rows + 1, columns + 1), np.inf)
    total[0, 0] = 0
    for row in range(rows):
        for column in range(columns):
            before = min(total[row, column], total[row, column + 1], total[row + 1, column])
            total[row + 1, column + 1] = cost[row, column] + before
    return float(total[rows, columns])


@given(st.integers(1, 9), st.integers(1, 14), st.integers(0, 10_000))
def test_finds_the_cheapest_way(rows: int, columns: int, seed: int) -> None:
    cost = np.random.default_rng(seed).standard_normal((rows, columns)).astype(np.float32)
    path = _cheapest_path(cost)
    assert path[0] == (0, 0)
    assert path[-1] == (rows - 1, columns - 1)
    for (row, column), (next_row, next_column) in itertools.pairwise(path):
        assert (next_row - row, next_column - column) in {(0, 1), (1, 0), (1, 1)}
    assert sum(float(cost[place]) for place in path) == pytest.approx(plain_cost(cost), abs=1e-4)


@given(st.integers(1, 3), st.integers(1, 40), st.integers(1, 60), st.integers(0, 10_000))
def test_median_is_the_median(heads: int, tokens: int, positions: int, seed: int) -> None:
    x = np.random.default_rng(seed).standard_normal((heads, tokens, positions)).astype(np.float32)
    if positions <= 3:
        np.testing.assert_array_equal(_median(x), x)
        return
    padded = np.pad(x, ((0, 0), (0, 0), (3, 3)), mode="reflect")
    expected = np.median(np.lib.stride_tricks.sliding_window_view(padded, 7, axis=-1), axis=-1)
    np.testing.assert_array_equal(_median(x), expected)


def test_follows_the_attention() -> None:
    """Four tokens of text, ten positions each, behind a start of two tokens and before the end."""
    attention = np.full((2, 7, 40), 0.001, dtype=np.float32)
    for token in range(4):
        attention[:, 2 + token, 10 * token : 10 * token + 10] = 0.1
    path = attention_path(attention, 2, 6)
    starts = [min(place for own, place in path if own == token) for token in range(4)]
    assert starts == pytest.approx([0, 10, 20, 30], abs=3)
