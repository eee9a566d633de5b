"""The fit of coefficients."""

from __future__ import annotations

import doctest

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import nnls

from tflm_sparsesep.converters.cost import fit


def test_examples() -> None:
    result = doctest.testmod(fit)
    assert result.attempted > 0
    assert result.failed == 0


@given(st.integers(0, 2**32), st.integers(1, 30), st.integers(1, 12), st.sampled_from([0.2, 0.7]))
def test_error_is_that_of_scipy(seed: int, measurements: int, terms: int, density: float) -> None:
    """The coefficients are, too, where they are unique."""
    rng = np.random.default_rng(seed)
    matrix = rng.random((measurements, terms)) * (rng.random((measurements, terms)) < density)
    counts = rng.uniform(1, 9, measurements)
    found = fit.fit(matrix.tolist(), counts.tolist())
    relative = matrix / counts[:, None]
    wanted, residual = nnls(relative, np.ones(measurements))
    assert found.min() >= 0
    np.testing.assert_allclose(np.linalg.norm(relative @ found - 1), residual, atol=1e-9)
    if np.linalg.matrix_rank(relative) == terms and np.linalg.cond(relative) < 1e4:
        np.testing.assert_allclose(found, wanted, atol=1e-7 * max(1.0, wanted.max()))
