"""What a model's weights will cost on the device, estimated while they are trained.

They are quantized as TensorFlow quantizes them (int8, one scale per output) and laid out as the
converter would lay them out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.blob.pack import FullyConnectedWeights
from tflm_sparsesep.converters.cost.choose_layout import Prefer, choose_layout
from tflm_sparsesep.converters.cost.cost import Cost, total
from tflm_sparsesep.training.device_layer import DeviceLayer
from tflm_sparsesep.training.palette import to_palette

Weights = npt.NDArray[Any]


class PackedEstimate:
    """Estimates for one target.

    Attributes:
        target: a name of `targets.TARGETS`.
        palettes: names of layers whose weights will be rounded to a palette.
        prefer: what layouts are chosen by, as for `convert`.
    """

    def __init__(
        self, target: str, palettes: Collection[str] = (), *, prefer: Prefer | None = None
    ) -> None:
        self.target = target
        self.prefer = prefer
        self.palettes = frozenset(palettes)

    def layer(self, layer: DeviceLayer, weights: Weights, *, input_zeros: float = 0.0) -> Cost:
        """Return the cost of one layer: a `PackedCost` where the packed form wins.

        Args:
            layer: what it is.
            weights: float [rows, cols]; unused where no sparse kernel exists for it.
            input_zeros: share of inputs that are zero.
        """
        dense = layer.dense(self.target)
        if not layer.has_kernel:
            return dense
        quantized = quantize_rows(weights)
        if layer.name in self.palettes:
            scales = np.abs(weights).max(axis=1)
            quantized = replace(quantized, weights=to_palette(quantized.weights, scales))
        best = choose_layout(
            quantized, self.target, layer.vectors, input_zeros, dense=dense, prefer=self.prefer
        )
        return dense if best is None or not best.beats(dense) else best

    def total(
        self,
        layers: Sequence[DeviceLayer],
        weights: Mapping[str, Weights],
        *,
        input_zeros: Mapping[str, float] | None = None,
    ) -> Cost:
        """Return the cost of all `layers` together; those without `weights` count as dense.

        `weights` and `input_zeros` are by name; the rest is as for `layer`.
        """
        zeros = input_zeros or {}
        return total(
            self.layer(x, weights[x.name], input_zeros=zeros.get(x.name, 0.0))
            if x.name in weights
            else x.dense(self.target)
            for x in layers
        )


def quantize_rows(weights: Weights) -> FullyConnectedWeights:
    """Return float [rows, cols] as int8, symmetric with one scale per row.

    Requantisation and bias, which do not change sizes, hold typical numbers.
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


def as_matrix(kernel: Weights) -> Weights:
    """Return a kernel [..., inputs, outputs] as the packer sees it, [outputs, taps * inputs]."""
    return kernel.reshape(-1, kernel.shape[-1]).T
