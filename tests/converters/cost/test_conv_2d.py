"""The cost of dense convolutions: near what was measured."""

from __future__ import annotations

import pytest

from tflm_sparsesep.converters.cost import conv_2d
from tflm_sparsesep.converters.cost.data import load
from tflm_sparsesep.converters.targets import TARGETS

DEVICES = [name for name in TARGETS if TARGETS[name].qemu_machine]


def estimates(target: str, shapes: list[list[int]]) -> list[int]:
    found = []
    for height, width, channels, units, *kernel, down, right, valid in shapes:
        less = [taps - 1 if valid else 0 for taps in kernel]
        output = (1, -(-(height - less[0]) // down), -(-(width - less[1]) // right), units)
        found.append(conv_2d.dense_instructions(target, (units, *kernel, channels), output))
    return found


@pytest.mark.parametrize("target", DEVICES)
def test_measured_shapes_are_within_three_percent(target: str) -> None:
    data = load("dense_conv_cmsis_nn.json")
    counts = data["targets"][target]
    assert len(counts) > 30
    assert estimates(target, data["shapes"]) == pytest.approx(counts, rel=0.03)


@pytest.mark.parametrize("target", DEVICES)
def test_shapes_outside_the_fit_are_near(target: str) -> None:
    """Within 3%; strided 1x1 convolutions, whose rows are priced as 1x1 convolutions, within 7%."""
    data = load("dense_conv_cmsis_nn.json")
    shapes, counts = data["held_out_shapes"], data["held_out"][target]
    assert not any(shape in data["shapes"] for shape in shapes)
    found = {False: 0, True: 0}
    for shape, estimate, count in zip(shapes, estimates(target, shapes), counts, strict=True):
        is_strided = shape[4:6] == [1, 1]
        found[is_strided] += 1
        assert estimate == pytest.approx(count, rel=0.07 if is_strided else 0.03), shape
    assert min(found.values()) > 5


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
