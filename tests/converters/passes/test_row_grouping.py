"""Orders of rows: permutations, never worse, and right where the best one is known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tflm_sparsesep.converters.passes.row_grouping import count_blocks, group_rows

BLOCKS = [(2, 1), (2, 4), (4, 1), (4, 4)]


def naive_blocks(weights: np.ndarray, block: tuple[int, int]) -> int:
    height, width = block
    return sum(
        bool(np.any(weights[r : r + height, c : c + width]))
        for r in range(0, weights.shape[0], height)
        for c in range(0, weights.shape[1], width)
    )


def random_weights(rows: int, cols: int, zeros: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    weights = rng.integers(-127, 128, (rows, cols)).astype(np.int8)
    # Rows differ in fill, as those of trained layers do.
    weights[rng.random((rows, cols)) < zeros ** rng.uniform(0.3, 2.0, (rows, 1))] = 0
    return weights


@settings(max_examples=150, deadline=None)
@given(
    rows=st.integers(1, 40),
    cols=st.integers(1, 60),
    zeros=st.sampled_from([0.0, 0.5, 0.9, 0.98, 1.0]),
    block=st.sampled_from([*BLOCKS, (1, 1), (1, 4), (3, 2)]),
    seed=st.integers(0, 1000),
)
def test_a_permutation_with_no_more_blocks(
    rows: int, cols: int, zeros: float, block: tuple[int, int], seed: int
) -> None:
    weights = random_weights(rows, cols, zeros, seed)
    order = group_rows(weights, block)
    assert sorted(order.tolist()) == list(range(rows))
    before, after = naive_blocks(weights, block), naive_blocks(weights[order], block)
    assert (count_blocks(weights, block), count_blocks(weights[order], block)) == (before, after)
    assert after < before or order.tolist() == list(range(rows))


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("rows", [64, 61])
def test_hidden_groups_are_found(rows: int, block: tuple[int, int]) -> None:
    # Groups of identical rows, shuffled; the last may be short. Sorted is as good as it gets.
    rng = np.random.default_rng(rows)
    groups = -(-rows // block[0])
    sorted_rows = (rng.random((groups, 200)) < 0.1).repeat(block[0], axis=0)[:rows]
    shuffled = sorted_rows[rng.permutation(rows)]
    found = shuffled[group_rows(shuffled, block)]
    assert count_blocks(found, block) == count_blocks(sorted_rows, block)
    assert count_blocks(found, block) < 0.8 * count_blocks(shuffled, block)


def test_empty_rows_share_groups() -> None:
    # Otherwise each would sit in a group with others' blocks, for nothing.
    weights = np.zeros((32, 50), np.int8)
    weights[::2] = random_weights(16, 50, 0.5, seed=0) | 1
    assert count_blocks(weights, (4, 1)) == 8 * 50
    assert count_blocks(weights[group_rows(weights, (4, 1))], (4, 1)) == 4 * 50


def test_close_to_the_best_of_all_pairings() -> None:
    for seed in range(20):
        weights = random_weights(8, 40, 0.7, seed)
        best = min(
            naive_blocks(weights[list(order)], (2, 1))
            for order in itertools.permutations(range(8))
            if all(order[i] < order[i + 1] for i in (0, 2, 4, 6))
            and all(order[i] < order[i + 2] for i in (0, 2, 4))
        )
        found = naive_blocks(weights[group_rows(weights, (2, 1))], (2, 1))
        assert best <= found <= 1.05 * best, seed


def test_the_same_zeros_give_the_same_order() -> None:
    weights = random_weights(50, 90, 0.9, seed=1)
    order = group_rows(weights, (4, 1))
    assert order.tolist() != list(range(50))
    for same in (weights.copy(), weights != 0, weights.astype(np.float32) * 0.01):
        np.testing.assert_array_equal(group_rows(same, (4, 1)), order)


def test_an_order_that_cannot_be_bettered_stays() -> None:
    aligned = np.kron(np.eye(6, dtype=np.int8), np.ones((4, 4), np.int8))
    for block in BLOCKS:
        assert group_rows(aligned, block).tolist() == list(range(24))
