"""The cost of dense convolutions: near what was counted in TFLM, in and outside the fit."""

from __future__ import annotations

import pytest

from tests.support.dense_counts import held_out_errors, worst
from tflm_sparsesep.converters.cost import conv_2d
from tflm_sparsesep.converters.cost.data import load
from tflm_sparsesep.converters.targets import TARGETS

DEVICES = [name for name in TARGETS if TARGETS[name].qemu_machine]
DATA = load("dense_conv_cmsis_nn.json")


def estimate(target: str, fields: list[int]) -> int:
    _, width, channels, units, *kernel, down, right, valid = fields
    output = (1, *conv_2d.measured_output(fields), units)
    edges = conv_2d.edge_windows(width, kernel[1], right, same=not valid)
    weights = (units, *kernel, channels)
    return conv_2d.dense_instructions(target, weights, output, strides=(down, right), edges=edges)


@pytest.mark.parametrize("target", DEVICES)
def test_shapes_of_the_fit_are_within_three_percent(target: str) -> None:
    counts = DATA["targets"][target]
    assert len(counts) > 40
    found = [estimate(target, fields) for fields in DATA["shapes"]]
    assert found == pytest.approx(counts, rel=0.03)


@pytest.mark.parametrize("target", DEVICES)
def test_shapes_outside_the_fit_are_within_three_percent(target: str) -> None:
    errors = held_out_errors(DATA, target, estimate)
    assert len(errors) > 25
    assert worst(errors) == DATA["held_out"]["errors"][target]
    assert worst(errors) < 0.03


@pytest.mark.parametrize("target", DEVICES)
def test_the_kinds_of_shapes_outside_the_fit(target: str) -> None:
    """First convolutions of one and three channels, several strides, and along one axis."""
    shapes = DATA["held_out"]["shapes"]
    assert {channels for _, _, channels, *_ in shapes} >= {1, 3}
    assert {down for *_, down, _, _ in shapes} >= {1, 2}
    along = [fields for fields in shapes if min(fields[4:6]) == 1]
    assert sum(height == 1 for height, *_ in along) > 5 < len(along)
    assert len(held_out_errors(DATA, target, estimate)) == len(shapes)


def test_windows_over_the_edges_by_listing_them() -> None:
    for size, taps, stride in ((64, 5, 1), (48, 5, 2), (9, 4, 1), (10, 3, 2), (7, 1, 1)):
        outputs = -(-size // stride)
        before = max(0, (outputs - 1) * stride + taps - size) // 2
        starts = [n * stride - before for n in range(outputs)]
        left = sum(start < 0 for start in starts)
        right = sum(start + taps > size for start in starts)
        assert conv_2d.edge_windows(size, taps, stride, same=True) == (left, right)
        assert conv_2d.edge_windows(size, taps, stride, same=False) == (0, 0)


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


def test_helium_reads_the_windows_of_one_row_in_place() -> None:
    row = conv_2d.dense_instructions("cortex-m55", (16, 1, 3, 8), (1, 1, 50, 16))
    column = conv_2d.dense_instructions("cortex-m55", (16, 3, 1, 8), (1, 50, 1, 16))
    unaligned = conv_2d.dense_instructions("cortex-m55", (16, 1, 3, 7), (1, 1, 50, 16))
    assert row < unaligned < column
