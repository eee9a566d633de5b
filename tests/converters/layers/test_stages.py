"""Stages against the kernels that the factorisations say they stand for."""

from __future__ import annotations

import doctest

import numpy as np
import pytest

from tflm_sparsesep.converters.factorize import separation
from tflm_sparsesep.converters.layers import stages as conv_stages
from tflm_sparsesep.converters.layers.stages import stages_of, whole_matrix

KERNEL = (3, 5, 4)


@pytest.fixture(scope="module")
def weights() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(12, *KERNEL))


def test_separated(weights: np.ndarray) -> None:
    pair = separation.separate(weights, 7)
    matrices = [pair.vertical.reshape(7, -1), pair.horizontal.reshape(12, -1)]
    stages = stages_of("separated", matrices, KERNEL, (2, 3))
    assert [stage.taps for stage in stages] == [(3, 1), (1, 5)]
    assert [stage.strides for stage in stages] == [(2, 1), (1, 3)]
    assert [stage.channels for stage in stages] == [4, 7]
    np.testing.assert_allclose(whole_matrix(stages, KERNEL), pair.kernel.reshape(12, -1))


def test_tucker(weights: np.ndarray) -> None:
    parts = separation.tucker(weights, (3, 6))
    matrices = [part.reshape(len(part), -1) for part in parts.matrices]
    stages = stages_of("tucker", matrices, KERNEL, (2, 3))
    assert [stage.taps for stage in stages] == [(1, 1), (3, 5), (1, 1)]
    assert [stage.strides for stage in stages] == [(1, 1), (2, 3), (1, 1)]
    np.testing.assert_allclose(whole_matrix(stages, KERNEL), parts.kernel.reshape(12, -1))


def test_low_rank(weights: np.ndarray) -> None:
    first, second = weights[:5].reshape(5, -1), np.arange(60.0).reshape(12, 5)
    stages = stages_of("low_rank", [first, second], KERNEL, (2, 3))
    assert [(stage.taps, stage.strides) for stage in stages] == [((3, 5), (2, 3)), ((1, 1), (1, 1))]
    np.testing.assert_allclose(whole_matrix(stages, KERNEL), second @ first)


def test_examples() -> None:
    result = doctest.testmod(conv_stages, extraglobs={"np": np})
    assert result.attempted > 0
    assert result.failed == 0
