"""Every variant that this machine can run against TFLite's arithmetic, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from tflm_sparsesep.converters import native
from tflm_sparsesep.converters.layouts import LAYOUTS
from tflm_sparsesep.converters.pack import pack
from tflm_sparsesep.converters.packed_format import Layout

from tests.layers import reference
from tflm_sparsesep.synthetic_layers import LayerCase, random_case

ZEROS = (0.0, 0.5, 0.9, 0.995, 1.0)
# Remainders around every tile and unrolling, primes, one past a uint8 step, one and many.
SIZES = (1, 2, 3, 4, 5, 15, 16, 17, 31, 61, 127, 256, 257, 521)


def run(case: LayerCase, layout: Layout) -> np.ndarray:
    blob = pack(case.layer, layout)
    assert native.validate(blob) is None
    rows = len(case.layer.bias)
    return native.sparse_fully_connected(case.options.to_bytes(), blob, case.inputs, rows)


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("zeros", ZEROS)
def test_equals_reference(layout: Layout, zeros: float) -> None:
    rng = np.random.default_rng(1)
    for cols in SIZES:
        for rows in (1, 3, 4, 7, 8, 33):
            case = random_case(rng, rows, cols, zeros=zeros, batch=int(rng.integers(1, 10)))
            np.testing.assert_array_equal(run(case, layout), reference(case))


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_accumulator_and_left_shift_wrap(layout: Layout) -> None:
    rng = np.random.default_rng(2)
    for _ in range(50):
        case = random_case(rng, 9, 300, zeros=0.3, batch=2, extreme=True)
        np.testing.assert_array_equal(run(case, layout), reference(case))


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_empty_rows_give_the_bias(layout: Layout) -> None:
    rng = np.random.default_rng(3)
    case = random_case(rng, 12, 40, zeros=0.5)
    case.layer.weights[[0, 3, 4, 5, 6, 7, 11]] = 0
    np.testing.assert_array_equal(run(case, layout), reference(case))
