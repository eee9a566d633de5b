"""The cost of dense 1x1 convolutions: near what was measured, in and outside the fit."""

from __future__ import annotations

import itertools

import pytest

from tflm_sparsesep.converters.cost import pointwise_conv
from tflm_sparsesep.converters.cost.data import load
from tflm_sparsesep.converters.targets import TARGETS

DEVICES = [name for name in TARGETS if TARGETS[name].qemu_machine]


@pytest.mark.parametrize("target", DEVICES)
def test_shapes_outside_the_fit_are_as_near_as_the_file_says(target: str) -> None:
    held_out = load("pointwise_cmsis_nn.json")["held_out"]
    error = max(
        abs(pointwise_conv.dense_instructions(target, units, channels, pixels) / count - 1)
        for (pixels, channels, units), count in zip(
            held_out["shapes"], held_out["targets"][target], strict=True
        )
    )
    assert round(error, 4) == held_out["errors"][target]
    assert error < 0.09


@pytest.mark.parametrize("target", DEVICES)
def test_usual_shapes_are_within_two_percent(target: str) -> None:
    data = load("pointwise_cmsis_nn.json")
    counts = data["targets"][target]
    assert data["shapes"][:2] == [[144, 64, 64], [125, 64, 64]]
    for (pixels, channels, units), count in list(zip(data["shapes"], counts, strict=True))[:4]:
        found = pointwise_conv.dense_instructions(target, units, channels, pixels)
        assert found == pytest.approx(count, rel=0.02)


@pytest.mark.parametrize("target", TARGETS)
def test_more_of_everything_costs_more(target: str) -> None:
    shapes = [(64, 8, 16), (64, 32, 16), (64, 32, 32), (128, 32, 32)]
    costs = [pointwise_conv.dense_instructions(target, *shape) for shape in shapes]
    assert all(few < many for few, many in itertools.pairwise(costs))
