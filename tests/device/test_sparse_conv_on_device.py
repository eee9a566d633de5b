"""SPARSE_CONV_2D on every emulated core against TFLite's arithmetic, bit for bit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from tests.support.device_tools import needs_emulator
from tests.support.layers import check_outputs
from tests.support.residuals import COMMON_SHIFTS, random_residual, sums
from tests.support.sparse_convs import ConvCase, random_conv, random_window, windows_of
from tests.support.sweeps import seed_of
from tflm_sparsesep.converters import native
from tflm_sparsesep.converters.blob.format import Layout, ValueType
from tflm_sparsesep.converters.blob.layouts import layouts_for
from tflm_sparsesep.converters.blob.pack_sparse_conv import with_residual
from tflm_sparsesep.converters.op_names import SPARSE_CONV_2D
from tflm_sparsesep.converters.targets import TARGETS
from tflm_sparsesep.device import emulation
from tflm_sparsesep.device.layer_job import LayerJob

pytestmark = [pytest.mark.slow, pytest.mark.sweep, needs_emulator]

CASES = [
    pytest.param(target, board, layout, id=f"{board or target}-{layout}")
    for target, board in [
        *((name, None) for name in TARGETS if TARGETS[name].qemu_machine),
        ("cortex-m0", "microbit"),
    ]
    for layout in layouts_for(target)
    if layout.value_type is not ValueType.FLOAT32
]
# Geometries for each kernel, and images of each: 100 inferences.
WINDOWS, IMAGES = 20, 5


def check(
    target: str, board: str | None, convs: Sequence[ConvCase], layout: Layout, images: int
) -> None:
    """Runs each of `convs` on several images of the size of its first."""
    jobs = [job_of(conv, layout, images) for conv in convs]
    runs = emulation.run_layers(target, jobs, board=board)
    for conv, job, run in zip(convs, jobs, runs, strict=True):
        zero_point = conv.case.options.input_zero_point
        windows = windows_of(job.inputs[:, 0], conv.window, zero_point)
        case = replace(conv.case, inputs=windows)
        check_outputs(case, run.outputs.reshape(len(windows), -1))
        height, width = conv.images.shape[1:3]
        scratch = native.conv_scratch_bytes(job.blob, height, width, target=target)
        assert run.scratch_bytes == scratch


def job_of(conv: ConvCase, layout: Layout, images: int) -> LayerJob:
    rng = np.random.default_rng(0)
    inputs = rng.integers(-128, 128, (images, 1, *conv.images.shape[1:])).astype(np.int8)
    return LayerJob(SPARSE_CONV_2D, b"", conv.blob(layout), inputs, (1, *conv.output_shape[1:]))


@pytest.mark.parametrize(("target", "board", "layout"), CASES)
def test_equals_reference(target: str, board: str | None, layout: Layout) -> None:
    rng = np.random.default_rng(seed_of(1))
    convs = []
    for number in range(WINDOWS):
        # Pixels of whole words, and others.
        channels = 4 * int(rng.integers(1, 5)) if number % 2 else int(rng.integers(1, 12))
        window = random_window(rng, channels=channels)
        zeros = float(rng.choice([0.5, 0.8, 0.95]))
        convs.append(random_conv(rng, layout, window=window, zeros=zeros))
    check(target, board, convs, layout, IMAGES)


@pytest.mark.parametrize(("target", "board", "layout"), CASES)
def test_accumulators_wrap(target: str, board: str | None, layout: Layout) -> None:
    conv = random_conv(np.random.default_rng(2), layout, units=9, zeros=0.3, extreme=True)
    check(target, board, [conv], layout, 1)


@pytest.mark.parametrize("target", [name for name in TARGETS if TARGETS[name].qemu_machine])
def test_residuals_equal_reference(target: str) -> None:
    rng = np.random.default_rng(seed_of(3))
    layout = layouts_for(target)[0]
    jobs, residuals = [], []
    for number in range(8):
        conv = random_conv(rng, layout)
        residual = random_residual(rng, shifts=(16, 26) if number % 4 == 0 else COMMON_SHIFTS)
        job = job_of(conv, layout, 2)
        other = rng.integers(-128, 128, (2, *job.output_shape)).astype(np.int8)
        added = replace(job, blob=with_residual(job.blob, residual), residuals=other)
        jobs += [job, added]
        residuals.append((residual, conv.case.options.output_zero_point))
    runs = emulation.run_layers(target, jobs)
    for (residual, zero_point), alone, both, job in zip(
        residuals, runs[::2], runs[1::2], jobs[1::2], strict=True
    ):
        assert job.residuals is not None
        expected = sums(residual, alone.outputs, zero_point, job.residuals)
        np.testing.assert_array_equal(both.outputs, expected)
        assert both.scratch_bytes == max(alone.scratch_bytes, 1024)
