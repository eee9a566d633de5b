"""Basis times code: budgets, turns that help, what SVD and want of data lose against it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.converters.factorize import dictionary, gram, low_rank

ROWS, COLS = 30, 60


def layer(seed: int) -> tuple[np.ndarray, gram.Gram]:
    """Weights made of 10 atoms, of which each input uses two, and some noise."""
    rng = np.random.default_rng(seed)
    code = rng.normal(size=(10, COLS)) * (rng.random((10, COLS)).argsort(axis=0) < 2)
    w = rng.normal(size=(ROWS, 10)) @ code + 0.1 * rng.normal(size=(ROWS, COLS))
    x = rng.normal(size=(400, COLS))
    x = sum(np.roll(x, i, axis=1) for i in range(4)) * rng.uniform(0.2, 3, COLS)
    return w, gram.accumulate([x]).damped(1e-2)


@pytest.mark.parametrize("data", [True, False])
def test_budget(data: bool) -> None:
    w, seen = layer(0)
    found = dictionary.learn(w, seen if data else gram.identity(COLS), 12, 100)
    assert found.basis.shape == (ROWS, 12)
    assert found.code.shape == (12, COLS)
    assert np.count_nonzero(found.code) == 100
    assert found.macs == ROWS * 12 + 100
    assert found.int8_bytes(1.5) == ROWS * 12 + 250
    again = dictionary.learn(w, seen if data else gram.identity(COLS), 12, 100)
    np.testing.assert_array_equal(found.weights, again.weights)


@pytest.mark.parametrize("data", [True, False])
def test_turns_never_make_it_worse(data: bool) -> None:
    w, seen = layer(1)
    moments = seen if data else gram.identity(COLS)
    errors = [
        moments.error(w - dictionary.learn(w, moments, 10, 120, turns=turns).weights)
        for turns in range(5)
    ]
    assert all(b <= a * (1 + 1e-9) for a, b in itertools.pairwise(errors))
    assert errors[-1] < 0.95 * errors[0]


@pytest.mark.parametrize("data", [True, False])
def test_everything_kept_is_exact(data: bool) -> None:
    w, seen = layer(2)
    moments = seen if data else gram.identity(COLS)
    found = dictionary.learn(w, moments, ROWS, ROWS * COLS)
    np.testing.assert_allclose(found.weights, w, rtol=1e-7, atol=1e-7)


def test_beats_svd_at_equal_bytes_and_data_helps() -> None:
    for seed in range(3):
        w, seen = layer(seed)
        free, size = gram.identity(COLS), ROWS * COLS // 3
        rank = low_rank.rank_for(size, ROWS, COLS)
        errors = {}
        for name, moments in (("free", free), ("data", seen)):
            found = dictionary.learn_for_bytes(w, moments, size)
            assert found.int8_bytes() <= size
            errors[name] = seen.error(w - found.weights)
            factors = low_rank.svd(w, rank, moments)
            assert moments.error(w - found.weights) < moments.error(w - factors.weights)
        assert errors["data"] < errors["free"]


def test_refusals() -> None:
    w, seen = layer(0)
    for atoms in (0, ROWS + 1):
        with pytest.raises(ConfigError, match=f"atoms is {atoms}; accepted: 1 to {ROWS}"):
            dictionary.learn(w, seen, atoms, 10)
    with pytest.raises(ConfigError, match="30 bytes; accepted: at least 47"):
        dictionary.learn_for_bytes(w, seen, 30)
    with pytest.raises(ConfigError, match="singular"):
        dictionary.learn(w, gram.Gram(np.zeros((COLS, COLS)), np.zeros(COLS)), 2, 10)
