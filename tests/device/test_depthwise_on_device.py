"""Depthwise convolutions on every emulated core against TFLite's arithmetic, bit for bit."""

from __future__ import annotations

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


def check(target: str, board: str | None, case: DepthwiseCase, images: int = IMAGES) -> None:
    """Runs the layer on several images of the size of its first."""
    layer, (height, width) = case.layer, case.images.shape[1:3]
    rng, shape = np.random.default_rng(0), (images, 1, *case.images.shape[1:])
    inputs = rng.integers(-128, 128, shape).astype(np.int8)
    outputs = (1, *case.output_shape[1:])
    blob = pack_depthwise(layer)
    run = emulation.run_layer(target, SEPARABLE_CONV_2D, b"", blob, inputs, outputs, board=board)
    np.testing.assert_array_equal(
        run.outputs.reshape(images, *outputs[1:]), outputs_of(layer, inputs[:, 0])
    )
    kernel = run.kernel
    assert kernel == native.depthwise_variant_name(blob, target=target)
    assert kernel == depthwise_kernels.variant_name(target, run_of(layer, case.images.shape))
    scratch = native.depthwise_scratch_bytes(blob, height, width, target=target)
    assert run.scratch_bytes == scratch


@pytest.mark.parametrize(("target", "board"), CORES)
def test_equals_reference(target: str, board: str | None) -> None:
    rng = np.random.default_rng(1)
    for _ in range(LAYERS):
        check(target, board, random_case(rng))


@pytest.mark.parametrize(("target", "board"), CORES)
def test_accumulators_wrap(target: str, board: str | None) -> None:
    rng = np.random.default_rng(2)
    for _ in range(4):
        check(target, board, random_case(rng, extreme=True), 1)


@pytest.mark.parametrize(("target", "board"), CORES)
def test_narrow_limits_and_extreme_inputs(target: str, board: str | None) -> None:
    rng = np.random.default_rng(3)
    for strides in ((1, 1), (2, 2), (1, 2)):
        layer = random_depthwise(rng, ConvWindow((3, 3), 10, strides))
        options = replace(layer.options, activation_min=-3, activation_max=5)
        images = np.full((1, 9, 14, 10), 127, np.int8)
        check(target, board, DepthwiseCase(replace(layer, options=options), images), 2)


@pytest.mark.parametrize(("target", "board"), CORES)
def test_blocks(target: str, board: str | None) -> None:
    rng = np.random.default_rng(4)
    for layout in measured_layouts(target)[:6]:
        if layout.value_type is ValueType.FLOAT32:
            continue
        block = random_block(rng, layout, case=random_case(rng, most=9))
        images = block.depthwise.images[:1]
        outputs = (1, *block.output_shape[1:])
        run = emulation.run_layer(
            target, SEPARABLE_CONV_2D, b"", block.blob, images[None], outputs, board=board
        )
        expected = block_outputs(block, images)
        np.testing.assert_array_equal(run.outputs.reshape(expected.shape), expected)
        height, width = images.shape[1:3]
        scratch = native.depthwise_scratch_bytes(block.blob, height, width, target=target)
        assert run.scratch_bytes == scratch
