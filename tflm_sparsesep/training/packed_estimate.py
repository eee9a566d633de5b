"""The cost of a model on the device, and the price of a weight, while weights are trained.

Weights are quantized as TensorFlow quantizes them (int8, one scale per output), and layouts are
chosen as the converter chooses them.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.blob.pack import FullyConnectedWeights
from tflm_sparsesep.converters.cost.break_even import sparse_form
from tflm_sparsesep.converters.cost.choose_layout import Prefer, is_better, pays
from tflm_sparsesep.converters.cost.cost import Cost, total
from tflm_sparsesep.training.device_layer import DeviceLayer
from tflm_sparsesep.training.palette import to_palette
from tflm_sparsesep.training.removed_channels import without_removed
from tflm_sparsesep.training.trained_layer import TrainedLayer

Array = npt.NDArray[Any]

# Fractions of zeros between which costs are compared. Below, a layer's cost hardly depends on its
# nonzeros alone; above, few layers are of use.
_FEWER_ZEROS, _MORE_ZEROS = 0.75, 0.95
# Of the dense layer: no weight is free, or all of its layer's would stay.
_LEAST_SHARE = 1e-2


def layer_cost(
    layer: TrainedLayer,
    kernel: Array,
    target: str,
    *,
    prefer: Prefer | None = None,
    input_zeros: float = 0.0,
) -> Cost:
    """Return the cost of one layer with the weights `kernel`.

    Args:
        layer: the layer; with `palette`, its weights are rounded to a palette first.
        kernel: float [..., inputs, outputs].
        target: a name of `targets.TARGETS`.
        prefer: the preference among layouts, as for `convert`.
        input_zeros: the fraction of zero inputs.

    Returns:
        A `PackedCost` if the packed layer is smaller and faster, else the cost of the dense one,
        or of our depthwise kernels where `convert` prefers those.
    """
    dense = layer.device.dense(target)
    if not layer.device.has_kernel:
        return dense
    weights = layer.device.matrix(kernel)
    quantized = quantize_rows(weights)
    if layer.palette:
        scales = np.abs(weights).max(axis=1)
        quantized = replace(quantized, weights=to_palette(quantized.weights, scales))
    best = layer.device.best(quantized, target, input_zeros=input_zeros, prefer=prefer)
    if best is None or not pays(best, layer.device.shape.dense(target), prefer):
        return dense
    return best if is_better(best, dense, prefer) else dense


def model_cost(
    layers: Iterable[TrainedLayer],
    kernels: Mapping[TrainedLayer, Array],
    target: str,
    *,
    prefer: Prefer | None = None,
    input_zeros: Mapping[TrainedLayer, float] | None = None,
    readers: Mapping[TrainedLayer, TrainedLayer] | None = None,
) -> Cost:
    """Return the cost of all `layers` together, as `layer_cost` finds it.

    Layers without an entry in `kernels` count as dense, those without one in `input_zeros` as
    having no zero inputs. With `readers` (`removed_channels.readers`), layers count without the
    channels that the converter removes.
    """
    zeros = input_zeros or {}
    left = without_removed(kernels, readers or {})
    return total(
        layer_cost(*left[x], target, prefer=prefer, input_zeros=zeros.get(x, 0.0))
        if x in left
        else x.device.dense(target)
        for x in layers
    )


def quantize_rows(weights: Array) -> FullyConnectedWeights:
    """Return float [rows, cols] as int8, symmetric with one scale per row.

    Requantization and bias, which do not change sizes, hold typical numbers.

    Example:
        >>> quantize_rows(np.array([[0.5, -1.0], [0.0, 0.0]])).weights.tolist()
        [[64, -127], [0, 0]]
    """
    rows = len(weights)
    largest = np.abs(weights).max(axis=1, keepdims=True)
    scaled = weights * (127 / np.where(largest > 0, largest, 1))
    return FullyConnectedWeights(
        weights=np.rint(scaled).astype(np.int8),
        bias=np.zeros(rows, np.int32),
        multiplier=np.full(rows, 1 << 30, np.int32),
        shift=np.full(rows, -8, np.int8),
        input_zero_point=0,
    )


def price(layer: TrainedLayer, target: str, kind: str, budget: int) -> float:
    """Return what each nonzero weight takes of a budget, as a share.

    It is the slope of the packed layer's cost, in its pattern, between 75 and 95% zeros at random
    positions. A weight of a convolution takes instructions at every pixel, but bytes only once.

    Args:
        layer: a layer with a sparse kernel.
        target: a name of `targets.TARGETS`.
        kind: "flash_bytes" or "instructions".
        budget: so many of them.
    """
    pattern = layer.blocks.pattern if "x" in layer.blocks.pattern else "1x1"
    taken = layer.size * (_MORE_ZEROS - _FEWER_ZEROS)
    return amount(kind, _slope(layer.device, target, pattern)) / budget / taken


def amount(kind: str, cost: Cost) -> int:
    """Return what `cost` takes of a budget of "flash_bytes" or "instructions"."""
    return cost.bytes if kind == "flash_bytes" else cost.instructions


@functools.cache
def _slope(device: DeviceLayer, target: str, pattern: str) -> Cost:
    """Return what the weights between both fractions of zeros cost."""
    shape = device.shape
    forms = [
        sparse_form(shape, target, pattern, zeros) or sparse_form(shape, target, "1x1", zeros)
        for zeros in (_FEWER_ZEROS, _MORE_ZEROS)
    ]
    many, few = (form for form in forms if form is not None)
    dense = shape.dense(target)
    return Cost(
        max(many.bytes - few.bytes, round(_LEAST_SHARE * dense.bytes), 1),
        max(many.instructions - few.instructions, round(_LEAST_SHARE * dense.instructions), 1),
    )
