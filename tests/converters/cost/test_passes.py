"""Passes over a blob that take several vectors are counted as the kernels make them."""

from __future__ import annotations

import numpy as np
import pytest

from tflm_sparsesep.converters.blob.format import Layout
from tflm_sparsesep.converters.blob.layouts import LAYOUTS
from tflm_sparsesep.converters.blob.size import PackedSize, packed_size
from tflm_sparsesep.converters.cost import terms


def one_by_one(layout: Layout, size: PackedSize, batch: int, most: int) -> tuple[int, int]:
    passes, left = 0, batch
    if terms.takes_the_last_again(layout, most):
        # The loop of run_eight_vectors_dsp.c.
        done = 0 if batch < 4 else batch - 1 if batch % 8 == 1 else batch
        return len(range(0, done, 8)), done
    while vectors := terms._pass_vectors(layout, size, left, most):
        passes, left = passes + 1, left - vectors
    return passes, batch - left


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("most", [1, 2, 4, 8, 16])
def test_passes_of_any_batch(layout: Layout, most: int) -> None:
    kept = np.random.default_rng(0).random((16 // layout.block_rows, 64 // layout.block_cols)) < 0.3
    size = packed_size(kept, 16, 64, layout)
    takes = most > 1 and terms._takes_passes(layout, size, most)
    for batch in range(1, 90):
        expected = one_by_one(layout, size, batch, most) if takes else (0, 0)
        assert terms._passes(layout, size, batch, most) == expected
    # A damaged file may state any batch.
    _, vectors = terms._passes(layout, size, 2**31 - 1, most)
    assert 0 <= vectors < 2**31
