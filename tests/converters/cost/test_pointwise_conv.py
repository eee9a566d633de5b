"""The cost of dense 1x1 convolutions: near what was counted in TFLM, in and outside the fit."""

from __future__ import annotations

import itertools

import pytest

from tests.support.dense_counts import held_out_errors, worst
from tflm_sparsesep.converters.cost import conv_2d, pointwise_conv
from tflm_sparsesep.converters.cost.data import load
from tflm_sparsesep.converters.targets import TARGETS

DEVICES = [name for name in TARGETS if TARGETS[name].qemu_machine]
DATA = load("pointwise_cmsis_nn.json")


def estimate(target: str, fields: list[int]) -> int:
    calls, pixels, channels, units = fields
    return pointwise_conv.dense_instructions(target, units, channels, pixels, calls=calls)


@pytest.mark.parametrize("target", DEVICES)
def test_shapes_outside_the_fit_are_within_five_percent(target: str) -> None:
    errors = held_out_errors(DATA, target, estimate)
    assert len(errors) > 30
    assert worst(errors) == DATA["held_out"]["errors"][target]
    assert worst(errors) < 0.05


@pytest.mark.parametrize("target", DEVICES)
def test_strides_above_1_are_within_five_percent(target: str) -> None:
    """None of them was in the fit of stride 1: the kernel is called row by row."""
    held_out = DATA["held_out"]
    rows = zip(held_out["shapes"], held_out["targets"][target], strict=True)
    strided = [(fields, count) for fields, count in rows if fields[0] > 1]
    assert len(strided) > 5
    for (calls, pixels, channels, units), count in strided:
        found = conv_2d.dense_instructions(
            target, (units, 1, 1, channels), (1, calls, pixels, units), strides=(2, 2)
        )
        assert found == pytest.approx(count, rel=0.05)


@pytest.mark.parametrize("target", DEVICES)
def test_usual_shapes_are_within_two_percent(target: str) -> None:
    counts = DATA["targets"][target]
    assert DATA["shapes"][:2] == [[1, 144, 64, 64], [1, 125, 64, 64]]
    for fields, count in list(zip(DATA["shapes"], counts, strict=True))[:4]:
        assert estimate(target, fields) == pytest.approx(count, rel=0.02)


@pytest.mark.parametrize("target", TARGETS)
def test_more_of_everything_costs_more(target: str) -> None:
    shapes = [(64, 8, 16), (64, 32, 16), (64, 32, 32), (128, 32, 32)]
    costs = [pointwise_conv.dense_instructions(target, *shape) for shape in shapes]
    assert all(few < many for few, many in itertools.pairwise(costs))
