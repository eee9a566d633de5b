"""Shares of weights over layers."""

from __future__ import annotations

import doctest

import numpy as np
import pytest

from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.converters.factorize import nonzero_shares
from tflm_sparsesep.converters.factorize.nonzero_shares import SharedBlocks, block_values


def test_values_are_slopes() -> None:
    values = block_values([0, 2, 6, 16], [50.0, 20.0, 8.0, 0.0])
    np.testing.assert_allclose(values, [15] * 2 + [3] * 4 + [0.8] * 10)


def test_values_never_rise_nor_fall_below_0() -> None:
    """The second block pays only with the third; beyond that the error even grows."""
    values = block_values([0, 1, 2, 3, 5], [10.0, 6.0, 5.0, 2.0, 2.5])
    np.testing.assert_allclose(values, [4, 3, 3, 0, 0])


@pytest.mark.parametrize("counts", [[0], [1, 2], [0, 2, 2], [0, 3, 2]])
def test_counts_that_do_not_rise_are_refused(counts: list[int]) -> None:
    with pytest.raises(ConfigError, match=r"accepted: 0, \.\.\., all"):
        block_values(counts, [1.0] * len(counts))


def test_the_dearest_blocks_of_all_layers_stay() -> None:
    rng = np.random.default_rng(1)
    costs = [rng.random(40), 3 * rng.random(25), rng.random(7) / 5]
    flat = np.sort(np.concatenate(costs))[::-1]
    for share in (0.1, 0.5, 0.9):
        count = round(share * len(flat))
        wanted = [4 * int((c >= flat[count - 1]).sum()) for c in costs]
        assert SharedBlocks(costs, (2, 2)).nonzeros(share) == wanted


def test_all_and_nothing() -> None:
    shared = SharedBlocks([np.ones(3), np.ones(2)], (1, 1))
    assert shared.nonzeros(0.0) == [0, 0]
    assert shared.nonzeros(1.0) == [3, 2]
    assert shared.nonzeros(0.4) == [2, 0]
    with pytest.raises(ConfigError, match=r"share is 1\.5"):
        shared.nonzeros(1.5)


def test_examples() -> None:
    result = doctest.testmod(nonzero_shares)
    assert result.attempted > 0
    assert result.failed == 0
