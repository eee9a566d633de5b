"""Depthwise convolutions on every emulated core against TFLite's arithmetic, bit for bit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from tests.support.depthwise_layers import (
    DepthwiseCase,
    block_outputs,
    outputs_of,
    random_block,
    random_case,
)
from tests.support.device_tools import needs_emulator
from tflm_sparsesep.converters import native
from tflm_sparsesep.converters.blob.format import ValueType
from tflm_sparsesep.converters.blob.pack_depthwise import pack_depthwise
from tflm_sparsesep.converters.blob.pack_sparse_conv import ConvWindow
from tflm_sparsesep.converters.cost import depthwise_kernels
from tflm_sparsesep.converters.cost.choose_layout import measured_layouts
from tflm_sparsesep.converters.layers.depthwise import run_of
from tflm_sparsesep.converters.op_names import SEPARABLE_CONV_2D
from tflm_sparsesep.converters.targets import TARGETS
from tflm_sparsesep.device import emulation
from tflm_sparsesep.device.layer_job import LayerJob
from tflm_sparsesep.device.synthetic_depthwise import random_depthwise

pytestmark = [pytest.mark.slow, needs_emulator]

CORES = [
    pytest.param(target, board, id=board or target)
    for target, board in [
        *((name, None) for name in TARGETS if TARGETS[name].qemu_machine),
        ("cortex-m0", "microbit"),
    ]
]
# Layers for each core, and images of each: 100 inferences and more.
LAYERS, IMAGES = 30, 4


def check(
    target: str, board: str | None, cases: Sequence[DepthwiseCase], images: int = IMAGES
) -> None:
    """Runs each layer on several images of the size of its first."""
    jobs = [job_of(case, images) for case in cases]
    runs = emulation.run_layers(target, jobs, board=board)
    for case, job, run in zip(cases, jobs, runs, strict=True):
        layer, (height, width) = case.layer, case.images.shape[1:3]
        expected = outputs_of(layer, np.asarray(job.inputs[:, 0], np.int8))
        np.testing.assert_array_equal(run.outputs.reshape(expected.shape), expected)
        kernel = run.kernel
        assert kernel == native.depthwise_variant_name(job.blob, target=target)
        assert kernel == depthwise_kernels.variant_name(target, run_of(layer, case.images.shape))
        scratch = native.depthwise_scratch_bytes(job.blob, height, width, target=target)
        assert run.scratch_bytes == scratch


def job_of(case: DepthwiseCase, images: int) -> LayerJob:
    rng, shape = np.random.default_rng(0), (images, 1, *case.images.shape[1:])
    inputs = rng.integers(-128, 128, shape).astype(np.int8)
    outputs = (1, *case.output_shape[1:])
    return LayerJob(SEPARABLE_CONV_2D, b"", pack_depthwise(case.layer), inputs, outputs)


@pytest.mark.parametrize(("target", "board"), CORES)
def test_equals_reference(target: str, board: str | None) -> None:
    rng = np.random.default_rng(1)
    check(target, board, [random_case(rng) for _ in range(LAYERS)])


@pytest.mark.parametrize(("target", "board"), CORES)
def test_accumulators_wrap(target: str, board: str | None) -> None:
    rng = np.random.default_rng(2)
    check(target, board, [random_case(rng, extreme=True) for _ in range(4)], 1)


@pytest.mark.parametrize(("target", "board"), CORES)
def test_narrow_limits_and_extreme_inputs(target: str, board: str | None) -> None:
    rng = np.random.default_rng(3)
    cases = []
    for strides in ((1, 1), (2, 2), (1, 2)):
        layer = random_depthwise(rng, ConvWindow((3, 3), 10, strides))
        options = replace(layer.options, activation_min=-3, activation_max=5)
        images = np.full((1, 9, 14, 10), 127, np.int8)
        cases.append(DepthwiseCase(replace(layer, options=options), images))
    check(target, board, cases, 2)


@pytest.mark.parametrize(("target", "board"), CORES)
def test_blocks(target: str, board: str | None) -> None:
    rng = np.random.default_rng(4)
    blocks = [
        random_block(rng, layout, case=random_case(rng, most=9))
        for layout in measured_layouts(target)[:6]
        if layout.value_type is not ValueType.FLOAT32
    ]
    jobs = [
        LayerJob(
            SEPARABLE_CONV_2D,
            b"",
            block.blob,
            block.depthwise.images[None, :1],
            (1, *block.output_shape[1:]),
        )
        for block in blocks
    ]
    for block, run in zip(blocks, emulation.run_layers(target, jobs, board=board), strict=True):
        images = block.depthwise.images[:1]
        expected = block_outputs(block, images)
        np.testing.assert_array_equal(run.outputs.reshape(expected.shape), expected)
        height, width = images.shape[1:3]
        scratch = native.depthwise_scratch_bytes(block.blob, height, width, target=target)
        assert run.scratch_bytes == scratch
