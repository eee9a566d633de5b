"""The cost of dense 1x1 convolutions: near what was measured, in and outside the fit."""

from __future__ import annotations

import doctest
import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from tflm_sparsesep.converters.cost import fit as fitted_counts
from tflm_sparsesep.converters.cost import fully_connected, pointwise_conv
from tflm_sparsesep.converters.targets import TARGETS

DEVICES = [name for name in TARGETS if name != "host"]
FILE = Path(pointwise_conv.__file__).with_name("data") / "pointwise_cmsis_nn.json"


@pytest.mark.parametrize("target", DEVICES)
def test_shapes_outside_the_fit_are_as_near_as_the_file_says(target: str) -> None:
    error = pointwise_conv.held_out_error(target)
    data: dict[str, Any] = json.loads(FILE.read_text())
    assert round(error, 4) == data["held_out"]["errors"][target]
    assert error < 0.09


@pytest.mark.parametrize("target", DEVICES)
def test_usual_shapes_are_within_two_percent(target: str) -> None:
    data = json.loads(FILE.read_text())
    counts = data["targets"][target]
    assert data["shapes"][:2] == [[144, 64, 64], [125, 64, 64]]
    for (pixels, channels, units), count in list(zip(data["shapes"], counts, strict=True))[:4]:
        found = fully_connected.dense_pointwise_conv(target, units, channels, pixels)
        assert found == pytest.approx(count, rel=0.02)


@pytest.mark.parametrize("target", TARGETS)
def test_more_of_everything_costs_more(target: str) -> None:
    shapes = [(64, 8, 16), (64, 32, 16), (64, 32, 32), (128, 32, 32)]
    costs = [fully_connected.dense_pointwise_conv(target, *shape) for shape in shapes]
    assert all(few < many for few, many in itertools.pairwise(costs))


def test_examples() -> None:
    result = doctest.testmod(fitted_counts)
    assert result.attempted > 0
    assert result.failed == 0
