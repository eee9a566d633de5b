"""A sparse layer on an OpenCL device: its buffers, and the kernels that work on them.

Activations and their gradients are float32[features, batch] buffers, see
`kernels/opencl/training_products.cl`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.opencl.buffers import Buffer
from tflm_sparsesep.opencl.device import Device
from tflm_sparsesep.opencl.kernels import Kernels
from tflm_sparsesep.opencl.sparse_layer import SparseLayer

FEATURES_MULTIPLE = 16
"""Features are padded to a multiple of this; tiles of every pattern divide it."""

# Blocks per work-group in kernels where work-items share nothing.
_GROUP = 64


@dataclass(frozen=True)
class AdamStep:
    """One step of Adam as in Keras, and of the proximal operator of an L1 penalty after it.

    `count` steps were taken, this one included, for the correction of the moments' bias; `strength`
    is that of the penalty, 0 for none.
    """

    learning_rate: float
    count: int
    strength: float = 0.0
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7

    @property
    def unbias(self) -> float:
        """Bias correction of the second moment."""
        return 1.0 / (1.0 - self.beta_2**self.count)

    @property
    def size(self) -> float:
        """The factor on first moment / (sqrt(second moment) + epsilon)."""
        correction = math.sqrt(1.0 - self.beta_2**self.count) / (1.0 - self.beta_1**self.count)
        return self.learning_rate * correction


class TrainableLayer:
    """The weights of a layer on a device, and their moments of Adam once it is trained.

    Attributes:
        layer: as it was uploaded; `read` returns the present weights.
        bias: float32 buffer, padded to `FEATURES_MULTIPLE`.
    """

    def __init__(self, device: Device, layer: SparseLayer) -> None:
        """Upload a layer."""
        self._device = device
        self._moments: list[Buffer] = []
        self._bias_moments: list[Buffer] = []
        self.bias = device.upload("weights", pad_features(layer.bias))
        self._upload(layer)

    def forward(self, kernels: Kernels, inputs: Buffer, outputs: Buffer) -> None:
        """Compute outputs = clamp(weights inputs + bias)."""
        kernels(
            "forward",
            (kernels.vectors, self.layer.grid[0]),
            (kernels.vector_group, 1),
            *(self._row_start, self._tile_cols, self._values, self.bias, inputs, outputs),
            *(float(self.layer.low), float(self.layer.high)),
        )

    def backward(
        self,
        kernels: Kernels,
        output_gradient: Buffer,
        inputs: Buffer,
        limits: tuple[float, float],
        input_gradient: Buffer,
    ) -> None:
        """Compute input_gradient = weights^T output_gradient, 0 where `inputs` are at `limits`."""
        kernels(
            "backward",
            (kernels.vectors, self.layer.grid[1]),
            (kernels.vector_group, 1),
            *(self._col_start, self._col_blocks, self._tile_rows, self._values),
            *(output_gradient, inputs, input_gradient),
            *(float(limits[0]), float(limits[1])),
        )

    def gradients(
        self,
        kernels: Kernels,
        inputs: Buffer,
        output_gradient: Buffer,
        value_gradient: Buffer,
        bias_gradient: Buffer,
    ) -> None:
        """Compute the gradients of kept values and of biases."""
        blocks = len(self.layer.values)
        lanes = kernels.lanes
        group = (lanes, 1) if lanes > 1 else (1, _GROUP)
        kernels(
            "value_gradient",
            (lanes, _round_up(blocks, group[1])),
            group,
            *(self._tile_rows, self._tile_cols, inputs, output_gradient, value_gradient, blocks),
        )
        group_of_biases = (FEATURES_MULTIPLE,)
        kernels("bias_gradient", self.bias.shape, group_of_biases, output_gradient, bias_gradient)

    def update(
        self, kernels: Kernels, value_gradient: Buffer, bias_gradient: Buffer, adam: AdamStep
    ) -> None:
        """Take a step of Adam on values and biases, and the proximal step on values alone."""
        if not self._bias_moments:
            values, biases = self._values.shape, self.bias.shape
            self._moments = [self._device.zeros("optimizer", *values) for _ in range(2)]
            self._bias_moments = [self._device.zeros("optimizer", *biases) for _ in range(2)]
        constants = (adam.size, 1.0 - adam.beta_1, 1.0 - adam.beta_2, adam.epsilon)
        blocks = len(self.layer.values)
        kernels(
            "update_values",
            (_round_up(blocks, _GROUP),),
            (_GROUP,),
            *(self._tile_rows, self._tile_cols, value_gradient, self._values, *self._moments),
            *(blocks, self.layer.rows, self.layer.cols, *constants),
            *(adam.unbias, adam.learning_rate * adam.strength),
        )
        moments = self._bias_moments
        size, group = self.bias.shape, (FEATURES_MULTIPLE,)
        kernels("update_bias", size, group, bias_gradient, self.bias, *moments, *constants)

    def read(self) -> SparseLayer:
        """Return the layer with its present weights."""
        bias = self.bias.read()[: self.layer.rows]
        return replace(self.layer, values=self._values.read(), bias=bias)

    def drop_zero_blocks(self) -> None:
        """Drop blocks of zeros: they will stay 0."""
        layer = self.read()
        kept = layer.values.any(axis=(1, 2))
        if kept.all():
            return
        moments = [moment.read()[kept] for moment in self._moments]
        for buffer in (*self._weights(), *self._moments):
            buffer.release()
        self._upload(
            replace(
                layer,
                tile_rows=layer.tile_rows[kept],
                tile_cols=layer.tile_cols[kept],
                values=layer.values[kept],
            )
        )
        self._moments = [self._device.upload("optimizer", moment) for moment in moments]

    def _upload(self, layer: SparseLayer) -> None:
        def upload(values: npt.NDArray[np.int64], dtype: type) -> Buffer:
            return self._device.upload("weights", values.astype(dtype))

        by_col = np.argsort(layer.tile_cols, kind="stable")
        heights, widths = (np.arange(tiles + 1) for tiles in layer.grid)
        self._row_start = upload(np.searchsorted(layer.tile_rows, heights), np.uint32)
        self._col_start = upload(np.searchsorted(layer.tile_cols[by_col], widths), np.uint32)
        self._col_blocks = upload(by_col, np.uint32)
        self._tile_rows = upload(layer.tile_rows, np.uint16)
        self._tile_cols = upload(layer.tile_cols, np.uint16)
        self._values = self._device.upload("weights", layer.values)
        self.layer = layer

    def _weights(self) -> tuple[Buffer, ...]:
        return (
            *(self._row_start, self._col_start, self._col_blocks),
            *(self._tile_rows, self._tile_cols, self._values),
        )


def features(count: int) -> int:
    """Return `count` padded to `FEATURES_MULTIPLE`, as activations are."""
    return _round_up(count, FEATURES_MULTIPLE)


def pad_features(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Pad [count, ...] with zeros to `FEATURES_MULTIPLE`."""
    padding = [(0, features(len(values)) - len(values))] + [(0, 0)] * (values.ndim - 1)
    return np.pad(values, padding).astype(np.float32)


def _round_up(count: int, multiple: int) -> int:
    return -(-count // multiple) * multiple
