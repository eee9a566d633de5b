"""Blobs read as layers of real numbers, and written back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.support.layers import layout_case
from tflm_sparsesep.converters import native
from tflm_sparsesep.converters.blob.format import FullyConnectedOptions, Layout, ValueType
from tflm_sparsesep.converters.blob.layouts import LAYOUTS
from tflm_sparsesep.converters.blob.pack import FullyConnectedWeights, pack, read_header, unpack
from tflm_sparsesep.converters.errors import ConfigError, ModelError
from tflm_sparsesep.opencl import read_blob, write_blob

SCALES = {"input_scale": 0.02, "output_scale": 0.1}
INT8_LAYOUTS = [layout for layout in LAYOUTS if layout.value_type is not ValueType.FLOAT32]
FLOAT_LAYOUTS = [layout for layout in LAYOUTS if layout.value_type is ValueType.FLOAT32]


def int8_case(layout: Layout, seed: int = 3) -> tuple[FullyConnectedWeights, FullyConnectedOptions]:
    """A layer of 37 x 530 with an empty row, whose other rows have a weight of 127 or -127."""
    rng = np.random.default_rng(seed)
    case = layout_case(rng, layout, 37, 530, zeros=0.9)
    weights = case.layer.weights.copy()
    weights[5 // layout.block_rows * layout.block_rows :][: layout.block_rows] = 0
    largest = np.abs(weights).argmax(axis=1)
    rows = np.flatnonzero(weights.any(axis=1))
    weights[rows, largest[rows]] = np.sign(weights[rows, largest[rows]]) * 127
    if layout.value_type is ValueType.PALETTE4:
        weights = np.where(weights, np.sign(weights) * 127, 0).astype(np.int8)
    # Limits that hold 0, as every activation's do.
    low, zero_point = -128, case.options.output_zero_point
    options = replace(case.options, activation_min=min(low, zero_point), activation_max=127)
    return replace(case.layer, weights=weights), options


def real_numbers(layer: FullyConnectedWeights) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    scale = np.ldexp(layer.multiplier.astype(np.float64), layer.shift.astype(int) - 31)
    scale *= SCALES["output_scale"] / SCALES["input_scale"]
    return layer.weights * scale[:, None], layer.bias * scale * SCALES["input_scale"]


@pytest.mark.parametrize("layout", INT8_LAYOUTS, ids=str)
def test_int8_round_trip(layout: Layout) -> None:
    layer, options = int8_case(layout)
    found, deployment = read_blob(pack(layer, layout), options, **SCALES)
    weights, bias = real_numbers(layer)
    # One rounding to float32 each, 2^-24, beside a float64 product of other roundings.
    np.testing.assert_allclose(found.to_dense(), weights, rtol=2**-23, atol=0)
    np.testing.assert_allclose(found.bias, bias, rtol=2**-23, atol=0)
    assert found.low == pytest.approx((options.activation_min - options.output_zero_point) * 0.1)

    blob, written = write_blob(found, deployment)
    assert native.validate(blob) is None
    again = unpack(blob)
    # Rows whose largest weight is 127 keep their scale, up to float32's rounding of weights and of
    # the scale, which moves no other weight by half a step.
    assert np.array_equal(again.weights, layer.weights)
    real = np.ldexp(layer.multiplier.astype(np.float64), layer.shift.astype(int))
    got = np.ldexp(again.multiplier.astype(np.float64), again.shift.astype(int))
    kept = layer.weights.any(axis=1)
    np.testing.assert_allclose(got[kept], real[kept], rtol=2**-22)
    is_palette = layout.value_type is ValueType.PALETTE4
    assert (written.layout == layout) is not is_palette
    # Biases of up to 2^14 steps, in float32 and back: exact. Rows without weights have new steps.
    third, _ = read_blob(blob, options, **SCALES)
    np.testing.assert_allclose(third.bias[kept], bias[kept], rtol=2**-21, atol=0)
    steps = SCALES["output_scale"] / 256
    np.testing.assert_allclose(third.bias[~kept], bias[~kept], atol=0.5001 * steps)


@pytest.mark.parametrize("layout", FLOAT_LAYOUTS, ids=str)
def test_float_round_trip_is_exact(layout: Layout) -> None:
    case = layout_case(np.random.default_rng(4), layout, 21, 300, zeros=0.9)
    blob = pack(case.layer, layout)
    layer, deployment = read_blob(blob, case.options)
    assert np.array_equal(layer.to_dense(), case.layer.weights)
    assert write_blob(layer, deployment) == (blob, deployment)
    low, high = np.array([case.options.activation_min, case.options.activation_max], np.int32).view(
        np.float32
    )
    assert (layer.low, layer.high) == (low, high)


def test_what_fills_gaps_of_the_index_is_no_weight_to_train() -> None:
    (layout,) = [x for x in LAYOUTS if str(x) == "1x1_delta8_palette4"]
    case = layout_case(np.random.default_rng(0), layout, 4, 2000, zeros=0.99)
    weights = case.layer.weights
    nonzeros = np.count_nonzero(weights)
    blob = pack(case.layer, layout)
    # A palette without a 0: weights that cancel each other pass over the gaps.
    assert len(np.unique(weights[weights != 0])) == 16
    assert read_header(blob)["blocks"] >= nonzeros + 2
    layer, _ = read_blob(blob, case.options, **SCALES)
    assert len(layer.values) == nonzeros


def test_large_rows_still_fit_a_weave() -> None:
    (layout,) = [x for x in LAYOUTS if str(x) == "4x4_delta8_int8_woven"]
    layer, options = int8_case(layout)
    found, deployment = read_blob(pack(layer, layout), options, **SCALES)
    # 530 weights of the same size: 127 each would be more than two rows of a weave can hold.
    crowded = replace(
        found.from_dense(np.full((8, 530), 0.7), pattern="4x4"), low=found.low, high=found.high
    )
    blob, _ = write_blob(crowded, deployment)
    assert native.validate(blob) is None
    again, _ = read_blob(blob, options, **SCALES)
    # Weights become 123 or fewer steps: half a step is below 1%.
    np.testing.assert_allclose(again.to_dense(), 0.7, rtol=0.01)


def test_what_cannot_be_read_is_refused_in_one_line() -> None:
    layer, options = int8_case(LAYOUTS[0])
    blob = pack(layer, LAYOUTS[0])
    with pytest.raises(ModelError, match=r"packed weights of 10 bytes: .+") as error:
        read_blob(blob[:10], options, **SCALES)
    assert "\n" not in str(error.value)
    with pytest.raises(ConfigError, match=r"input_scale=None, output_scale=0.1; accepted"):
        read_blob(blob, options, output_scale=0.1)
