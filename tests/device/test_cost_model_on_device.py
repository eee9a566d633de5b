"""The cost model against the emulated cores, on layers that it was not fitted to."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.support.device_tools import needs_emulator
from tflm_sparsesep.converters.blob.format import Layout, Major
from tflm_sparsesep.converters.blob.layouts import layouts_for
from tflm_sparsesep.converters.blob.pack import pack
from tflm_sparsesep.converters.blob.size import size_of
from tflm_sparsesep.converters.cost import fully_connected
from tflm_sparsesep.converters.op_names import SPARSE_FULLY_CONNECTED
from tflm_sparsesep.converters.targets import TARGETS
from tflm_sparsesep.device import emulation
from tflm_sparsesep.device.kernel_bench import bench_kernels, random_layer

pytestmark = [
    pytest.mark.slow,
    needs_emulator,
]

DEVICES = [name for name in TARGETS if TARGETS[name].qemu_machine]
ROWS, COLS, ZEROS = 78, 212, 0.87
INPUT_ZEROS = 0.5
# Which inputs are zero is a matter of chance. With 53 column groups the mean over 32 vectors is
# within 1.2% of the expected one (a standard deviation of 0.43 / sqrt(53 * 32), twice).
VECTORS = 32
# What the data promises (tests/converters/cost/test_fully_connected.py).
HELD_OUT_ERROR = 0.05


def error_on(target: str, layout: Layout) -> float:
    """Relative error of the prediction for one layer."""
    is_column = layout.major is Major.COLUMN
    vectors, input_zeros = (VECTORS, INPUT_ZEROS) if is_column else (1, 0.0)
    case = random_layer(layout, ROWS, COLS, zeros=ZEROS, batch=vectors, input_zeros=input_zeros)
    blob = pack(case.layer, layout)
    run = emulation.run_layer(
        target,
        SPARSE_FULLY_CONNECTED,
        case.options.to_bytes(),
        blob,
        case.inputs[:, None, :],
        (1, ROWS),
    )
    predicted = fully_connected.sparse_instructions(
        target, layout, size_of(case.layer.weights, layout), input_zeros=input_zeros
    )
    return predicted / float(np.mean(run.instructions)) - 1.0


@pytest.mark.parametrize("target", DEVICES)
def test_the_model_predicts_a_layer_that_was_not_fitted(target: str) -> None:
    errors = {str(layout): error_on(target, layout) for layout in layouts_for(target)}
    assert {name: e for name, e in errors.items() if abs(e) > HELD_OUT_ERROR} == {}


def test_bench_kernels_estimates_cycles_and_measures_the_same_work_again() -> None:
    first, second = (
        bench_kernels("cortex-m4", rows=20, cols=48, zeros=0.8, pattern="1x4") for _ in range(2)
    )
    assert first == second
    for figures in first:
        # Loads and stores take 2 cycles, taken branches 3, all else 1.
        assert figures.instructions < figures.estimated_cycles < 3 * figures.instructions
        assert dataclasses.asdict(figures)["estimated_cycles"] == figures.estimated_cycles
