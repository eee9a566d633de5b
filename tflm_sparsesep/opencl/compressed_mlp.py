"""`CompressedMLP`: a classifier of sparse fully-connected layers, trained in packed form."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.opencl.buffers import Memory
from tflm_sparsesep.opencl.device import Device
from tflm_sparsesep.opencl.sparse_layer import SparseLayer
from tflm_sparsesep.opencl.tflite_head import TfliteHead
from tflm_sparsesep.opencl.trainable_layer import AdamStep, TrainableLayer
from tflm_sparsesep.opencl.training_data import Batch, batches, check_inputs, check_labels
from tflm_sparsesep.opencl.workspace import Workspace

_BATCH_SIZE = 128
LearningRate = float | Callable[[int], float]


@dataclass(frozen=True)
class Metrics:
    """Mean cross-entropy, and the fraction of samples that are classified correctly."""

    loss: float
    accuracy: float


class CompressedMLP:
    """Fully-connected layers in packed form, followed by a softmax.

    Memory holds only kept blocks of weights, two moments of Adam for each, and gradients for one
    layer at a time. Products and updates skip dropped weights, which stay 0: this is training on a
    fixed support (debiasing).

    Args:
        layers: in order of execution.
        device: a `Device`, or a part of its name; None takes the first GPU, or else the first
            device.

    Raises:
        ConfigError: there is no layer, a layer does not fit the previous one, or no device has
            that name.
        ToolMissingError: pyopencl or an OpenCL driver is missing.
        DeviceError: the device failed, or cannot be used in this process.

    Example:
        >>> mlp = CompressedMLP.from_tflite("model.tflite")  # doctest: +SKIP
        >>> mlp.fit(x, y, epochs=3)[-1].accuracy  # doctest: +SKIP
        0.91
        >>> Path("model.tflite").write_bytes(mlp.to_tflite())  # doctest: +SKIP
    """

    def __init__(
        self, layers: Sequence[SparseLayer], *, device: Device | str | None = None
    ) -> None:
        """Upload the layers; arguments and errors are those of the class."""
        if not layers:
            raise ConfigError("layers is empty; accepted: at least one layer")
        for i, (before, layer) in enumerate(itertools.pairwise(layers), start=1):
            if before.rows != layer.cols:
                raise ConfigError(
                    f"layer {i} takes {layer.cols} inputs, layer {i - 1} gives {before.rows}; "
                    "accepted: the same number"
                )
        self.device = device if isinstance(device, Device) else Device(device)
        self._layers = [TrainableLayer(self.device, layer) for layer in layers]
        self._workspace: Workspace | None = None
        self._head: TfliteHead | None = None
        self._steps = 0

    @classmethod
    def from_tflite(
        cls, model: bytes | str | Path, *, device: Device | str | None = None
    ) -> CompressedMLP:
        """Read the fully-connected layers that lead to the output of a model.

        Those are SPARSE_FULLY_CONNECTED, whose dropped weights stay 0, and FULLY_CONNECTED, of
        which all weights are trained; float32 or int8. Operators before them are not changed:
        inputs of `fit` are those of the first of these layers, as real numbers.

        Args:
            model: a .tflite file, or its bytes.
            device: as for the class.

        Raises:
            ModelError: the model is not intact, or has no such layers at its output.
        """
        head = TfliteHead(model)
        mlp = cls(head.layers, device=device)
        mlp._head = head
        return mlp

    def to_tflite(self) -> bytes:
        """Return the model of `from_tflite` with the present weights, in the same layouts.

        int8 weights get new scales; those of activations stay, and training clamps outputs to
        their range.

        Raises:
            ConfigError: the layers do not come from a model.
        """
        if self._head is None:
            raise ConfigError("the layers come from no model; accepted: layers made by from_tflite")
        return self._head.write(self.layers)

    @property
    def layers(self) -> list[SparseLayer]:
        """The layers with their present weights."""
        return [layer.read() for layer in self._layers]

    @property
    def zeros(self) -> float:
        """The fraction of zeros over the weights of all layers."""
        layers = self.layers
        sizes = [layer.rows * layer.cols for layer in layers]
        return float(np.average([layer.zeros for layer in layers], weights=sizes))

    @property
    def memory(self) -> Memory:
        """Bytes on `device` as "weights", "optimizer", "gradients" and "activations"."""
        return self.device.memory

    def fit(
        self,
        x: npt.NDArray[Any],
        y: npt.NDArray[Any],
        *,
        epochs: int = 1,
        batch_size: int = _BATCH_SIZE,
        learning_rate: LearningRate = 1e-3,
        strength: float = 0.0,
        shuffle: bool = True,
        seed: int = 0,
    ) -> list[Metrics]:
        """Train by Adam on cross-entropy; Adam's moments persist between calls.

        With `strength`, each step is followed by the proximal step of the penalty strength * |w|
        (`training/proximal.py`; blocks vanish as a whole). Blocks that are 0 at an epoch's end are
        dropped: a later `fit` without `strength` debiases the others.

        Args:
            x: [samples, ...]; the values of a sample are the inputs of the first layer.
            y: labels [samples], integers from 0.
            epochs: passes over the samples.
            batch_size: samples per step; the last batch of an epoch may be smaller.
            learning_rate: a number, or a function of the number of steps taken before.
            strength: of the L1 penalty, >= 0; 0 trains on the fixed support.
            shuffle: draw a new order of samples for each epoch.
            seed: of the orders.

        Returns:
            Loss and accuracy of each epoch, measured during training.
        """
        inputs, labels = self._check(x, y)
        if not isinstance(epochs, int) or epochs < 1:
            raise ConfigError(f"epochs={epochs!r}; accepted: integers from 1")
        if not 0 <= strength < np.inf:
            raise ConfigError(f"strength={strength!r}; accepted: 0 or more")
        if not callable(learning_rate) and not 0 < learning_rate < np.inf:
            raise ConfigError(f"learning_rate={learning_rate!r}; accepted: more than 0")
        rng = np.random.default_rng(seed)
        history = []
        for _ in range(epochs):
            order = rng.permutation(len(inputs)) if shuffle else np.arange(len(inputs))
            work = self._prepare(batch_size)
            for batch in batches(inputs, labels, order, work.size):
                self._step(work, batch, learning_rate, strength)
            history.append(_metrics(work, len(inputs)))
            for layer in self._layers if strength else ():
                layer.drop_zero_blocks()
        return history

    def evaluate(
        self, x: npt.NDArray[Any], y: npt.NDArray[Any], *, batch_size: int = _BATCH_SIZE
    ) -> Metrics:
        """Return loss and accuracy on `x`, `y` as in `fit`."""
        inputs, labels = self._check(x, y)
        work = self._prepare(batch_size)
        for batch in batches(inputs, labels, np.arange(len(inputs)), work.size):
            self._forward(work, batch)
            work.loss(batch)
        return _metrics(work, len(inputs))

    def predict(
        self, x: npt.NDArray[Any], *, batch_size: int = _BATCH_SIZE
    ) -> npt.NDArray[np.float32]:
        """Return probabilities float32[samples, classes]."""
        inputs = check_inputs(x, self._layers[0].layer.cols)
        work = self._prepare(batch_size)
        found = []
        for batch in batches(inputs, None, np.arange(len(inputs)), work.size):
            self._forward(work, batch)
            found.append(work.probabilities(batch))
        return np.concatenate(found)

    def gradients(
        self, x: npt.NDArray[Any], y: npt.NDArray[Any]
    ) -> list[tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]]:
        """Return gradients of the mean loss: kept values [blocks, rows, cols] and biases."""
        inputs, labels = self._check(x, y)
        work = self._prepare(len(inputs))
        (batch,) = batches(inputs, labels, np.arange(len(inputs)), work.size)
        found = [
            (work.value_gradient_of(layer.layer), work.bias_gradient_of(layer.layer))
            for layer in self._backpropagate(work, batch)
        ]
        return found[::-1]

    def _check(
        self, x: npt.NDArray[Any], y: npt.NDArray[Any]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]:
        inputs = check_inputs(x, self._layers[0].layer.cols)
        return inputs, check_labels(y, len(inputs), self._layers[-1].layer.rows)

    def _prepare(self, batch_size: int) -> Workspace:
        """Return buffers for batches of that size, with sums of losses and hits at 0."""
        if not isinstance(batch_size, int) or batch_size < 1:
            raise ConfigError(f"batch_size={batch_size!r}; accepted: integers from 1")
        if self._workspace is None or self._workspace.size != batch_size:
            if self._workspace is not None:
                self._workspace.release()
            self._workspace = Workspace(
                self.device, [layer.layer for layer in self._layers], batch_size
            )
        self._workspace.reset()
        return self._workspace

    def _forward(self, work: Workspace, batch: Batch) -> None:
        work.upload(batch)
        for i, layer in enumerate(self._layers):
            layer.forward(work.kernels(layer.layer), work.activations[i], work.activations[i + 1])

    def _backpropagate(self, work: Workspace, batch: Batch) -> Iterator[TrainableLayer]:
        """Yield each layer, last one first, when its gradients are in the workspace."""
        self._forward(work, batch)
        work.loss(batch)
        for i in reversed(range(len(self._layers))):
            layer = self._layers[i]
            kernels = work.kernels(layer.layer)
            inputs, gradient = work.activations[i], work.gradients[i]
            # Before the weights change.
            if i > 0:
                before = self._layers[i - 1].layer
                limits = (before.low, before.high)
                layer.backward(kernels, gradient, inputs, limits, work.gradients[i - 1])
            layer.gradients(kernels, inputs, gradient, *work.parameter_gradients)
            yield layer

    def _step(
        self, work: Workspace, batch: Batch, learning_rate: LearningRate, strength: float
    ) -> None:
        rate = learning_rate(self._steps) if callable(learning_rate) else learning_rate
        self._steps += 1
        adam = AdamStep(float(rate), self._steps, strength)
        for layer in self._backpropagate(work, batch):
            layer.update(work.kernels(layer.layer), *work.parameter_gradients, adam)


def _metrics(work: Workspace, samples: int) -> Metrics:
    loss, hits = work.sums()
    return Metrics(loss / samples, hits / samples)
