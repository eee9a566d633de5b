"""Buffers of activations and gradients for one batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.opencl.device import Device
from tflm_sparsesep.opencl.kernels import Kernels
from tflm_sparsesep.opencl.sparse_layer import SparseLayer
from tflm_sparsesep.opencl.trainable_layer import FEATURES_MULTIPLE, features
from tflm_sparsesep.opencl.training_data import Batch


class Workspace:
    """Buffers for batches of up to `size` samples.

    Attributes:
        size: samples of a batch.
        activations: inputs, then outputs of each layer, float32[features, batch].
        gradients: of the loss with respect to the outputs of each layer, in the same form.
        parameter_gradients: of kept values and of biases, for one layer at a time.
    """

    def __init__(self, device: Device, layers: Sequence[SparseLayer], size: int) -> None:
        """Allocate the buffers."""
        self.size = size
        self._device = device
        self._batch = -(-size // device.batch_multiple) * device.batch_multiple
        self._classes = layers[-1].rows
        widths = [features(layers[0].cols), *(features(layer.rows) for layer in layers)]
        self.activations = [device.zeros("activations", w, self._batch) for w in widths]
        self.gradients = [device.zeros("activations", w, self._batch) for w in widths[1:]]
        self.parameter_gradients = (
            device.zeros("gradients", max(layer.values.size for layer in layers)),
            device.zeros("gradients", max(widths[1:])),
        )
        self._labels = device.buffer("activations", (self._batch,), np.int32)
        self._losses = [device.zeros("activations", self._batch) for _ in range(2)]
        self._inputs = device.zeros("activations", self._batch, layers[0].cols)
        shapes = {(1, 1), *(layer.block for layer in layers)}
        self._kernels = {block: device.kernels(block, self._batch) for block in shapes}

    def kernels(self, layer: SparseLayer) -> Kernels:
        """Return the kernels for the layer's blocks and batches of this size."""
        return self._kernels[layer.block]

    def upload(self, batch: Batch) -> None:
        """Copy a batch into the first activations, and upload its labels."""
        samples, inputs = batch.inputs.shape
        self._inputs.write(batch.inputs)
        multiple = self._device.batch_multiple
        self._plain_kernels()(
            "turn",
            (self.activations[0].shape[0], self._batch // multiple),
            (FEATURES_MULTIPLE, 1),
            *(self._inputs, self.activations[0], samples, inputs),
        )
        if batch.labels is not None:
            self._labels.write(np.pad(batch.labels, (0, self._batch - samples)))

    def loss(self, batch: Batch) -> None:
        """Add losses and hits of a batch to the sums; compute the last outputs' gradient."""
        self._plain_kernels()(
            "softmax_cross_entropy",
            (self._batch,),
            (self._device.batch_multiple,),
            *(self.activations[-1], self._labels, self.gradients[-1], *self._losses),
            *(self._classes, self._batch, len(batch.inputs)),
        )

    def probabilities(self, batch: Batch) -> npt.NDArray[np.float32]:
        """Return the softmax of the last outputs, float32[samples, classes]."""
        arguments = (self.activations[-1], self.gradients[-1], self._classes, self._batch)
        group = (self._device.batch_multiple,)
        self._plain_kernels()("softmax", (self._batch,), group, *arguments)
        found: npt.NDArray[np.float32] = self.gradients[-1].read()
        return np.ascontiguousarray(found[: self._classes, : len(batch.inputs)].T)

    def reset(self) -> None:
        """Set the sums of losses and hits to 0."""
        for buffer in self._losses:
            buffer.write(np.zeros(buffer.shape, np.float32))

    def sums(self) -> tuple[float, float]:
        """Return losses and hits of all batches since `reset`."""
        loss, hits = (float(buffer.read().sum(dtype=np.float64)) for buffer in self._losses)
        return loss, hits

    def value_gradient_of(self, layer: SparseLayer) -> npt.NDArray[np.float32]:
        """Return the gradient of kept values, which must be that of `layer`."""
        found = self.parameter_gradients[0].read()[: layer.values.size]
        return found.reshape(layer.values.shape)

    def bias_gradient_of(self, layer: SparseLayer) -> npt.NDArray[np.float32]:
        """Return the gradient of biases, which must be that of `layer`."""
        found: npt.NDArray[np.float32] = self.parameter_gradients[1].read()[: layer.rows]
        return found

    def release(self) -> None:
        """Free the buffers."""
        for buffer in (
            *(*self.activations, *self.gradients, *self.parameter_gradients),
            *(self._inputs, self._labels, *self._losses),
        ):
            buffer.release()

    def _plain_kernels(self) -> Kernels:
        return self._kernels[1, 1]
