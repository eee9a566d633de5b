"""SEPARABLE_CONV_2D on every emulated core against TFLite's arithmetic, bit for bit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.support.device_tools import needs_emulator
from tests.support.separable_layers import check_floats, random_shape, reference
from tflm_sparsesep.converters.blob.pack_separable import SeparableConv, order_for, pack
from tflm_sparsesep.converters.blob.separable_format import Order, Padding
from tflm_sparsesep.converters.cost import separable_conv
from tflm_sparsesep.converters.op_names import SEPARABLE_CONV_2D
from tflm_sparsesep.converters.targets import TARGETS
from tflm_sparsesep.device import emulation
from tflm_sparsesep.device.emulation import LayerRun
from tflm_sparsesep.device.layer_job import LayerJob
from tflm_sparsesep.device.synthetic_separable import (
    SeparableShape,
    random_float_separable,
    random_images,
    random_separable,
)

pytestmark = [
    pytest.mark.slow,
    needs_emulator,
]

DEVICES = [name for name in TARGETS if TARGETS[name].qemu_machine]
VALID = (Padding.VALID, Padding.VALID)
LENET = SeparableShape(12, 12, (20, 10, 50), (5, 5), padding=VALID)
RESNET = SeparableShape(8, 8, (64, 32, 64), (3, 3))
# CMSIS-NN's instructions for the whole convolution, 3x3 or 5x5, on these sizes (commit 4ab83cc3).
DENSE = {"lenet": 2905670, "resnet": 4155297}


# A layer, and images [samples, batch, height, width, channels].
Case = tuple[SeparableConv, npt.NDArray[Any]]


def run(
    target: str, cases: Sequence[Case], order: Order, *, board: str | None = None
) -> list[LayerRun]:
    jobs = [
        LayerJob(
            SEPARABLE_CONV_2D, b"", pack(conv, order), images, conv.output_shape(images.shape[1:])
        )
        for conv, images in cases
    ]
    return emulation.run_layers(target, jobs, board=board)


def check(target: str, cases: Sequence[Case], order: Order, *, board: str | None = None) -> None:
    for (conv, images), layer in zip(cases, run(target, cases, order, board=board), strict=True):
        for given, outputs in zip(images, layer.outputs, strict=True):
            np.testing.assert_array_equal(outputs, reference(conv, given))
        expected = separable_conv.scratch_bytes(target, conv, order, images.shape[1:])
        assert layer.scratch_bytes == expected
        assert layer.kernel == separable_conv.variant_name(target, order)


@pytest.mark.parametrize("target", DEVICES)
def test_random_layers(target: str) -> None:
    rng = np.random.default_rng(1)
    cases: dict[Order, list[Case]] = {}
    for number in range(25):
        shape = random_shape(rng, channels=11 + number)
        conv = random_separable(rng, shape, extreme=number % 5 == 4)
        images = np.stack([random_images(rng, shape) for _ in range(3)])
        cases.setdefault(order_for(conv, target), []).append((conv, images))
    for order, held in cases.items():
        check(target, held, order)


@pytest.mark.parametrize("target", DEVICES)
@pytest.mark.parametrize("shape", [LENET, RESNET], ids=["lenet", "resnet"])
def test_real_layers(target: str, shape: SeparableShape) -> None:
    rng = np.random.default_rng(2)
    conv = random_separable(rng, shape)
    check(target, [(conv, random_images(rng, shape)[None])], order_for(conv, target))


def test_on_a_true_v6m_core() -> None:
    rng = np.random.default_rng(7)
    shapes = [random_shape(rng) for _ in range(5)]
    cases = [(random_separable(rng, shape), random_images(rng, shape)[None]) for shape in shapes]
    check("cortex-m0", cases, Order.NATURAL, board="microbit")


def test_natural_order_on_a_core_that_prefers_woven_weights() -> None:
    rng = np.random.default_rng(3)
    shapes = (LENET, random_shape(rng))
    cases = [(random_separable(rng, shape), random_images(rng, shape)[None]) for shape in shapes]
    check("cortex-m4", cases, Order.NATURAL)


@pytest.mark.parametrize("target", ["cortex-m0", "cortex-m4", "cortex-m55"])
def test_float32(target: str) -> None:
    rng = np.random.default_rng(4)
    shapes = [random_shape(rng) for _ in range(5)]
    cases = [
        (
            random_float_separable(rng, shape),
            rng.normal(0, 1, (1, *shape.input_shape)).astype(np.float32),
        )
        for shape in shapes
    ]
    for (conv, images), layer in zip(cases, run(target, cases, Order.NATURAL), strict=True):
        check_floats(conv, images[0], layer.outputs[0])


@pytest.mark.parametrize(("name", "shape", "gain"), [("lenet", LENET, 4.5), ("resnet", RESNET, 2)])
def test_separated_layers_save_instructions(name: str, shape: SeparableShape, gain: float) -> None:
    rng = np.random.default_rng(5)
    conv = random_separable(rng, shape)
    (layer,) = run("cortex-m4", [(conv, random_images(rng, shape)[None])], Order.WOVEN)
    assert layer.kernel == "int8_woven_dsp"
    assert layer.instructions[0] * gain <= DENSE[name]
    assert layer.scratch_bytes <= 8192


@pytest.mark.parametrize("target", ["cortex-m0", "cortex-m4", "cortex-m55"])
def test_the_cost_model_predicts(target: str) -> None:
    rng = np.random.default_rng(6)
    shape = SeparableShape(9, 10, (24, 14, 30), (3, 5))
    conv = random_separable(rng, shape)
    order = order_for(conv, target)
    (layer,) = run(target, [(conv, random_images(rng, shape)[None])], order)
    measured = layer.instructions[0]
    predicted = separable_conv.fused_instructions(target, conv, order, shape.input_shape)
    # The fit's largest error on the four shapes outside it is 2.7% (separable_kernels.json).
    assert abs(predicted / measured - 1) < 0.05
