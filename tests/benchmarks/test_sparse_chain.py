"""Consecutive layers made sparse under one budget, as benchmarks/factorize does it."""

from __future__ import annotations

import doctest

import numpy as np
import pytest

from benchmarks.factorize import sparse_chain
from tests.converters.factorize.test_chain import loss_of, network
from tflm_sparsesep.converters.errors import ConfigError


@pytest.mark.parametrize("block", [(1, 1), (4, 1), (2, 4)])
def test_sparse_chain_keeps_its_budget_and_each_step_helps(block: tuple[int, int]) -> None:
    dense, x = network()
    size = block[0] * block[1]
    losses = []
    for stages, refits in ((1, 0), (1, 3), (3, 3)):
        found = sparse_chain.sparsify(dense, x, 160, block=block, stages=stages, refits=refits)
        kept = sum(int(np.count_nonzero(layer.weights)) for layer in found)
        assert 0.9 * 160 - size <= kept <= 160
        losses.append(loss_of(found, dense, x))
    assert losses[1] < losses[0]
    assert losses[2] < losses[0]


def test_the_same_for_the_same_input() -> None:
    dense, x = network()
    first, second = (sparse_chain.sparsify(dense, x, 120) for _ in range(2))
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a.weights, b.weights)
        np.testing.assert_array_equal(a.bias, b.bias)


def test_stages_are_checked() -> None:
    dense, x = network()
    with pytest.raises(ConfigError, match="stages is 0"):
        sparse_chain.sparsify(dense, x, 10, stages=0)


def test_example() -> None:
    result = doctest.testmod(sparse_chain)
    assert result.attempted > 0
    assert result.failed == 0
