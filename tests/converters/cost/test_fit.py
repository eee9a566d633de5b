"""The fit of coefficients."""

from __future__ import annotations

import doctest

from tflm_sparsesep.converters.cost import fit


def test_examples() -> None:
    result = doctest.testmod(fit)
    assert result.attempted > 0
    assert result.failed == 0
