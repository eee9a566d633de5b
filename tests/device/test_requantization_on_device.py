"""Hand-written requantization at the edges of what bounded accumulators may be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.support.device_tools import needs_emulator
from tests.support.layers import reference
from tflm_sparsesep.converters.blob.format import FullyConnectedOptions, IndexEncoding, Layout
from tflm_sparsesep.converters.blob.pack import FullyConnectedWeights, pack
from tflm_sparsesep.converters.op_names import SPARSE_FULLY_CONNECTED
from tflm_sparsesep.converters.targets import TARGETS
from tflm_sparsesep.device import emulation
from tflm_sparsesep.device.layer_job import LayerJob
from tflm_sparsesep.device.synthetic_layers import LayerCase

pytestmark = [
    pytest.mark.slow,
    needs_emulator,
]

BOARDS = [(name, None) for name in TARGETS if TARGETS[name].qemu_machine] + [
    ("cortex-m0", "microbit")
]
ROWS, SAMPLES = 40, 10
# Where halves of the multiplier carry, borrow or vanish.
MULTIPLIERS = [
    *(0, 1, 2**16 - 1, 2**16, 2**30, 2**30 + 2**15, 2**30 + 2**16 - 1),
    *(2**31 - 2**16, 2**31 - 2**15, 2**31 - 2**15 - 1, 2**31 - 1),
]


def edge_case(rng: np.random.Generator) -> LayerCase[Any]:
    """One weight of +-1 a row: the bias decides how large the accumulator is."""
    zero_point = int(rng.integers(-128, 128))
    weights = np.zeros((ROWS, 4), np.int8)
    weights[np.arange(ROWS), rng.integers(0, 4, ROWS)] = rng.choice([-1, 1], ROWS)
    largest = 2**30 - 1 - 128
    at_edge = largest - rng.integers(0, 2**17, ROWS)
    anywhere = np.minimum(2.0 ** rng.uniform(0, 30, ROWS), largest).astype(np.int64)
    folded = rng.choice([-1, 1], ROWS) * np.where(rng.random(ROWS) < 0.5, at_edge, anywhere)
    multiplier = np.where(
        rng.random(ROWS) < 0.5, rng.choice(MULTIPLIERS, ROWS), rng.integers(2**30, 2**31, ROWS)
    )
    low, high = sorted(rng.integers(-128, 128, 2).tolist()) if rng.random() < 0.3 else (-128, 127)
    layer = FullyConnectedWeights(
        weights=weights,
        bias=(folded + zero_point * weights.sum(axis=1, dtype=np.int64)).astype(np.int32),
        multiplier=multiplier.astype(np.int32),
        shift=rng.integers(-31, 0, ROWS).astype(np.int8),
        input_zero_point=zero_point,
    )
    assert layer.is_bounded()
    options = FullyConnectedOptions(zero_point, int(rng.integers(-128, 128)), low, high)
    return LayerCase(layer, options, rng.integers(-128, 128, (SAMPLES, 4)).astype(np.int8))


@pytest.mark.parametrize(("target", "board"), BOARDS)
def test_bounded_accumulators(target: str, board: str | None) -> None:
    rng = np.random.default_rng(8)
    cases = [edge_case(rng) for _ in range(25)]
    jobs = [
        LayerJob(
            SPARSE_FULLY_CONNECTED,
            case.options.to_bytes(),
            pack(case.layer, Layout(IndexEncoding.U16)),
            case.inputs[:, None, :],
            (1, ROWS),
        )
        for case in cases
    ]
    for case, run in zip(cases, emulation.run_layers(target, jobs, board=board), strict=True):
        np.testing.assert_array_equal(run.outputs[:, 0], reference(case))
