"""Estimates of single layers: palettes, preferences, and sums."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tflm_sparsesep.converters.blob.format import ValueType
from tflm_sparsesep.converters.cost.cost import PackedCost, total
from tflm_sparsesep.converters.cost.shapes import MatrixShape
from tflm_sparsesep.training.device_layer import DeviceLayer
from tflm_sparsesep.training.packed_estimate import layer_cost, model_cost
from tflm_sparsesep.training.patterns import Blocks
from tflm_sparsesep.training.trained_layer import TrainedLayer

# TensorFlow costs 8 s to import.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("tensorflow")]


def dense_layer(
    rows: int, cols: int, *, palette: bool = False, has_kernel: bool = True
) -> TrainedLayer:
    """A layer without a Keras layer: estimates need none."""
    device = DeviceLayer(MatrixShape(rows, cols, parameter_bytes=28 * rows), has_kernel)
    return TrainedLayer("wide", None, device, Blocks.of((cols, rows)), palette=palette)


def kernel(rows: int, cols: int, zeros: float) -> npt.NDArray[Any]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(cols, rows)) * (rng.random((cols, rows)) >= zeros)


@pytest.mark.parametrize(
    ("target", "shape", "zeros", "chosen"),
    [
        ("cortex-m3", (128, 128), 0.8, True),
        ("cortex-m0", (96, 64), 0.85, True),
        ("cortex-m4", (128, 128), 0.8, True),
        # Helium runs other layouts several times as fast.
        ("cortex-m55", (128, 128), 0.8, False),
    ],
)
def test_palettes_count_before_weights_are_rounded(
    target: str, shape: tuple[int, int], zeros: float, chosen: bool
) -> None:
    weights = kernel(*shape, zeros)
    plain = layer_cost(dense_layer(*shape), weights, target)
    with_palette = layer_cost(dense_layer(*shape, palette=True), weights, target)
    assert isinstance(plain, PackedCost)
    assert isinstance(with_palette, PackedCost)
    assert plain.layout.value_type is ValueType.INT8
    assert (with_palette.layout.value_type is ValueType.PALETTE4) == chosen
    if chosen:
        assert with_palette.bytes < 0.8 * plain.bytes


def test_with_a_preference_for_flash_the_smallest_layout_counts() -> None:
    layer, weights = dense_layer(128, 128, palette=True), kernel(128, 128, 0.8)
    found = layer_cost(layer, weights, "cortex-m4", prefer="flash")
    assert isinstance(found, PackedCost)
    assert found.layout.value_type is ValueType.PALETTE4
    assert found.bytes < layer_cost(layer, weights, "cortex-m4").bytes
    assert found.beats(layer.device.dense("cortex-m4"))


@pytest.mark.parametrize(
    ("shape", "zeros", "has_kernel"), [((2, 4), 0.0, True), ((64, 64), 0.9, False)]
)
def test_layers_that_stay_dense_count_as_dense(
    shape: tuple[int, int], zeros: float, has_kernel: bool
) -> None:
    layer = dense_layer(*shape, has_kernel=has_kernel)
    assert layer_cost(layer, kernel(*shape, zeros), "cortex-m4") == layer.device.dense("cortex-m4")


def test_a_model_costs_the_sum_of_its_layers() -> None:
    packed, dense = dense_layer(128, 128), dense_layer(10, 128)
    weights, share = kernel(128, 128, 0.9), 0.5
    one = layer_cost(packed, weights, "cortex-m4", input_zeros=share)
    found = model_cost([packed, dense], {packed: weights}, "cortex-m4", input_zeros={packed: share})
    assert found == total([one, dense.device.dense("cortex-m4")])
    # Zero inputs are skipped by some layouts and never cost more.
    assert one.instructions <= layer_cost(packed, weights, "cortex-m4").instructions
