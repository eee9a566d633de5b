"""Singular values: exact at full rank, best at each rank, better with data where it counts."""

from __future__ import annotations

import numpy as np
import pytest

from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.converters.factorize import gram, low_rank
from tflm_sparsesep.converters.factorize.gram import Gram

RNG = np.random.default_rng(0)
W = RNG.normal(size=(7, 12))
X = RNG.normal(size=(60, 12)) @ RNG.normal(size=(12, 12))
DATA = gram.accumulate([X]).damped(1e-3)


@pytest.mark.parametrize("moments", [gram.identity(12), DATA])
def test_full_rank_is_exact(moments: Gram) -> None:
    found = low_rank.svd(W, 7, moments)
    # The Gram matrix's condition is about 1e4.
    np.testing.assert_allclose(found.weights, W, rtol=1e-9, atol=1e-9)
    assert found.macs == 7 * (7 + 12)


@pytest.mark.parametrize("rank", [1, 3, 6])
def test_error_is_that_of_the_singular_values_left_out(rank: int) -> None:
    factor = np.linalg.cholesky(DATA.matrix)
    values = np.linalg.svd(W @ factor, compute_uv=False)
    found = low_rank.svd(W, rank, DATA)
    np.testing.assert_allclose(DATA.error(W - found.weights), (values[rank:] ** 2).sum(), rtol=1e-8)
    assert DATA.error(W - found.weights) < DATA.error(
        W - low_rank.svd(W, rank, gram.identity(12)).weights
    )


def test_factors_are_of_like_size() -> None:
    found = low_rank.svd(W, 3, gram.identity(12))
    np.testing.assert_allclose(
        np.linalg.norm(found.left, axis=0), np.linalg.norm(found.right, axis=1), rtol=1e-9
    )


def test_rank_for_a_budget() -> None:
    assert low_rank.rank_for(23520, 300, 784) == 21
    assert low_rank.rank_for(18, 7, 12) == 0
    assert low_rank.rank_for(10**6, 7, 12) == 7


@pytest.mark.parametrize("rank", [0, 8])
def test_refuses_ranks(rank: int) -> None:
    with pytest.raises(ConfigError, match=f"rank is {rank}; accepted: 1 to 7"):
        low_rank.svd(W, rank, DATA)


def test_refuses_a_singular_matrix() -> None:
    with pytest.raises(ConfigError, match="singular"):
        low_rank.svd(W, 2, Gram(np.zeros((12, 12)), np.zeros(12)))
