"""What a weight of a layer costs on the device: the price that its saliency is weighed against."""

from __future__ import annotations

import functools
from collections.abc import Mapping

from tflm_sparsesep.converters.cost.break_even import sparse_form
from tflm_sparsesep.converters.cost.cost import Cost
from tflm_sparsesep.training.device_layer import DeviceLayer
from tflm_sparsesep.training.trained_layer import TrainedLayer

# Fractions of zeros between which costs are compared. Below, a layer's cost hardly depends on its
# nonzeros alone; above, few layers are of use.
_FEWER_ZEROS, _MORE_ZEROS = 0.75, 0.95
# Of the dense layer: no weight is free, or all of its layer's would stay.
_LEAST_SHARE = 1e-2


def price(layer: TrainedLayer, target: str, budgets: Mapping[str, int]) -> float:
    """Return what each nonzero weight takes of all budgets together, as a share.

    It is the slope of the packed layer's cost, in its pattern, between 75 and 95% zeros at random
    positions. A weight of a convolution takes instructions at every pixel, but bytes only once.

    Args:
        layer: a layer with a sparse kernel.
        target: a name of `targets.TARGETS`.
        budgets: of "flash_bytes" and "instructions", one or both.
    """
    pattern = layer.blocks.pattern if "x" in layer.blocks.pattern else "1x1"
    slope = _slope(layer.device, target, pattern)
    taken = layer.size * (_MORE_ZEROS - _FEWER_ZEROS)
    shares = (amount(kind, slope) / budget for kind, budget in budgets.items())
    return sum(shares) / taken


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
