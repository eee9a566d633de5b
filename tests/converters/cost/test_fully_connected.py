"""The cost model of fully-connected layers: what the data promises, and monotony."""

from __future__ import annotations

import itertools

import pytest

from tests.support.dense_counts import held_out_errors, worst
from tflm_sparsesep.converters.blob.format import IndexEncoding, Layout
from tflm_sparsesep.converters.blob.layouts import layouts_for
from tflm_sparsesep.converters.blob.size import PackedSize, size_of
from tflm_sparsesep.converters.cost import fully_connected
from tflm_sparsesep.converters.cost.data import load
from tflm_sparsesep.converters.targets import TARGETS
from tflm_sparsesep.device.kernel_bench import random_layer

DEVICES = [name for name, core in TARGETS.items() if core.qemu_machine is not None]
# The largest error allowed on layers outside the fit.
HELD_OUT_ERROR = 0.05


def random_size(layout: Layout, rows: int, cols: int, zeros: float) -> PackedSize:
    case = random_layer(layout, rows, cols, zeros=zeros, batch=1, input_zeros=0.0)
    return size_of(case.layer.weights, layout)


def dense_estimate(target: str, fields: list[int]) -> int:
    cols, rows, batch = fields
    return fully_connected.dense_instructions(target, rows, cols, batch)


@pytest.mark.parametrize("target", DEVICES)
def test_the_data_promises_five_percent_for_every_kernel(target: str) -> None:
    kernels = load("sparse_kernels.json")["targets"][target]
    errors = {name: kernel["held_out_error"] for name, kernel in kernels.items()}
    assert set(errors) == {str(layout) for layout in layouts_for(target)}
    assert {name: error for name, error in errors.items() if error > HELD_OUT_ERROR} == {}


@pytest.mark.parametrize("target", DEVICES)
def test_more_of_everything_costs_more(target: str) -> None:
    shapes = [(32, 64, 0.9, 1), (32, 64, 0.6, 1), (96, 64, 0.6, 1), (96, 64, 0.6, 8)]
    for layout in layouts_for(target):
        costs = [
            fully_connected.sparse_instructions(
                target, layout, random_size(layout, rows, cols, zeros), batch
            )
            for rows, cols, zeros, batch in shapes
        ]
        if layout.index_encoding is IndexEncoding.DENSE:
            assert costs.pop(0) == costs[0], "it stores zeros, too"
        assert all(few < many for few, many in itertools.pairwise(costs)), str(layout)


@pytest.mark.parametrize("target", DEVICES)
def test_dense_costs_are_exact_where_they_were_counted(target: str) -> None:
    data = load("dense_cmsis_nn.json")["fully_connected_s8"]
    assert [784, 300, 1] in data["shapes"]
    assert [dense_estimate(target, shape) for shape in data["shapes"]] == data["targets"][target]


@pytest.mark.parametrize("target", DEVICES)
def test_dense_costs_outside_the_fit_are_within_five_percent(target: str) -> None:
    """Layers of a few hundred weights, too, of which TFLM's wrapper is a large part."""
    data = load("dense_cmsis_nn.json")["fully_connected_s8"]
    errors = held_out_errors(data, target, dense_estimate)
    assert min(rows * cols for cols, rows, _ in data["held_out"]["shapes"]) < 100
    assert worst(errors) == data["held_out"]["errors"][target]
    assert worst(errors) < 0.05


def test_generic_has_the_kernels_and_costs_of_cortex_m3() -> None:
    measured = [
        one for one in layouts_for("generic") if fully_connected.is_measured("generic", one)
    ]
    assert measured == [one for one in layouts_for("generic") if one in layouts_for("cortex-m3")]
    for layout in measured:
        size = random_size(layout, 32, 64, 0.9)
        costs = {
            fully_connected.sparse_instructions(target, layout, size)
            for target in ("generic", "cortex-m3")
        }
        assert len(costs) == 1


@pytest.mark.parametrize("target", DEVICES)
def test_more_dimensions_run_as_a_convolution(target: str) -> None:
    data = load("dense_cmsis_nn.json")["fully_connected_s8_as_convolution"]
    for (cols, rows, vectors), count in zip(data["shapes"], data["targets"][target], strict=True):
        found = fully_connected.dense_instructions(target, rows, cols, vectors, rank=3)
        assert found == pytest.approx(count, rel=0.04)
    # Other numbers of inputs are batches of vectors.
    odd, flat = (fully_connected.dense_instructions(target, 9, 33, 5, rank=n) for n in (3, 2))
    assert odd == flat
