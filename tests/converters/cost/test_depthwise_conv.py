"""The cost of depthwise convolutions: near what was counted in TFLM, outside the fit."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.dense_counts import held_out_errors, worst
from tflm_sparsesep.converters.cost import conv_2d
from tflm_sparsesep.converters.cost.data import load
from tflm_sparsesep.converters.cost.depthwise_conv import (
    DepthwiseShape,
    dense_instructions,
    measured_shape,
)
from tflm_sparsesep.converters.factorize.gram import patches
from tflm_sparsesep.converters.targets import TARGETS

DEVICES = [name for name in TARGETS if TARGETS[name].qemu_machine]


def estimate(target: str, fields: list[int]) -> int:
    return dense_instructions(target, measured_shape(fields))


@pytest.mark.parametrize("target", DEVICES)
def test_shapes_outside_the_fit_are_within_five_percent(target: str) -> None:
    data = load("depthwise_cmsis_nn.json")
    errors = held_out_errors(data, target, estimate)
    multipliers = {multiplier for _, _, _, multiplier, *_ in data["held_out"]["shapes"]}
    assert len(errors) > 50
    assert multipliers > {1, 2, 4}
    assert worst(errors) == data["held_out"]["errors"][target]
    assert worst(errors) < 0.05


@pytest.mark.parametrize("same", [True, False])
@pytest.mark.parametrize("strides", [(1, 1), (2, 1), (2, 3)])
@pytest.mark.parametrize(("kernel", "dilation"), [((3, 5), (1, 1)), ((2, 4), (2, 1))])
def test_taps_on_the_image_by_trying_each(
    same: bool, strides: tuple[int, int], kernel: tuple[int, int], dilation: tuple[int, int]
) -> None:
    shape = DepthwiseShape((9, 11), 1, kernel, strides, same, dilation=dilation)
    reach = [(taps - 1) * step + 1 for taps, step in zip(kernel, dilation, strict=True)]
    windows = patches(np.ones((1, 9, 11, 1)), (reach[0], reach[1]), strides=strides, same=same)
    taps = windows.reshape(*windows.shape[1:3], *reach)[..., :: dilation[0], :: dilation[1]]
    assert shape.output == taps.shape[:2]
    assert shape.seen[0] * shape.seen[1] == int(taps.sum())


@pytest.mark.parametrize("target", TARGETS)
def test_more_of_everything_costs_more(target: str) -> None:
    small = DepthwiseShape((8, 8), 16, (5, 5))
    for more in (
        DepthwiseShape((8, 10), 16, (5, 5)),
        DepthwiseShape((8, 8), 24, (5, 5)),
        DepthwiseShape((8, 8), 16, (7, 5)),
        DepthwiseShape((8, 8), 16, (5, 5), multiplier=3),
        DepthwiseShape((8, 8), 16, (5, 5), batch=2),
    ):
        assert dense_instructions(target, more) > dense_instructions(target, small)


def test_one_channel_is_a_convolution_to_helium() -> None:
    one = DepthwiseShape((8, 8), 1, (5, 5), multiplier=16)
    conv = conv_2d.dense_instructions("cortex-m55", (16, 5, 5, 1), (1, 8, 8, 16))
    assert dense_instructions("cortex-m55", one) == conv
    assert dense_instructions("cortex-m33", one) != dense_instructions("cortex-m55", one)


@pytest.mark.parametrize("target", DEVICES)
def test_our_kernels_are_known_within_a_twentieth(target: str) -> None:
    """Layers outside the fit, of 3x3 taps and others, and blocks."""
    kernels = load("depthwise_kernels.json")["targets"][target]
    assert len(kernels) > 2
    assert max(kernel["held_out_error"] for kernel in kernels.values()) < 0.05
