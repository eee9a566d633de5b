"""The cost of dense convolutions: near what was measured."""

from __future__ import annotations

import pytest

from tflm_sparsesep.converters.cost import conv_2d
from tflm_sparsesep.converters.cost.data import load
from tflm_sparsesep.converters.targets import TARGETS

DEVICES = [name for name in TARGETS if TARGETS[name].qemu_machine]


@pytest.mark.parametrize("target", DEVICES)
def test_measured_shapes_are_within_six_percent(target: str) -> None:
    data = load("dense_conv_cmsis_nn.json")
    counts = data["targets"][target]
    assert len(counts) > 10
    for fields, count in zip(data["shapes"], counts, strict=True):
        height, width, channels, units, *kernel, down, right, valid = fields
        less = [taps - 1 if valid else 0 for taps in kernel]
        output = (1, -(-(height - less[0]) // down), -(-(width - less[1]) // right), units)
        found = conv_2d.dense_instructions(target, (units, *kernel, channels), output)
        assert found == pytest.approx(count, rel=0.06), fields


@pytest.mark.parametrize("target", TARGETS)
def test_more_of_everything_costs_more(target: str) -> None:
    def cost(units: int, kernel: tuple[int, int], channels: int, size: int) -> int:
        return conv_2d.dense_instructions(
            target, (units, *kernel, channels), (1, size, size, units)
        )

    small = cost(16, (3, 3), 8, 10)
    more = [
        cost(32, (3, 3), 8, 10),
        cost(16, (5, 3), 8, 10),
        cost(16, (3, 3), 16, 10),
        cost(16, (3, 3), 8, 12),
    ]
    assert all(larger > small for larger in more)
