"""Training steps of a dense network in numpy and in OpenCL, to compare compressed ones with.

Both take the step that `CompressedMLP.fit` takes: Adam on the mean cross-entropy of one batch.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyopencl as cl

from tflm_sparsesep.opencl import Device
from tflm_sparsesep.opencl.buffers import Buffer
from tflm_sparsesep.opencl.kernels import BoundKernel
from tflm_sparsesep.opencl.trainable_layer import features, pad_features

Array = npt.NDArray[Any]
Layers = list[tuple[Array, Array]]

_RATE, _BETA_1, _BETA_2, _EPSILON = 1e-3, 0.9, 0.999, 1e-7


def _adam_size(count: int) -> float:
    return _RATE * math.sqrt(1 - _BETA_2**count) / (1 - _BETA_1**count)


class NumpyTrainer:
    """layers: weights float32[rows, cols] and biases float32[rows]."""

    def __init__(self, layers: Layers) -> None:
        self._parameters = [parameter.copy() for layer in layers for parameter in layer]
        self._moments = [[np.zeros_like(p), np.zeros_like(p)] for p in self._parameters]
        self._room = [[np.empty_like(p), np.empty_like(p)] for p in self._parameters]
        self._count = 0

    def step(self, x: Array, labels: Array) -> None:
        """One step on x float32[samples, inputs], labels int[samples]."""
        weights, biases = self._parameters[0::2], self._parameters[1::2]
        activations = [x]
        for i, (w, b) in enumerate(zip(weights, biases, strict=True)):
            z = activations[-1] @ w.T
            z += b
            activations.append(np.maximum(z, 0, out=z) if i + 1 < len(weights) else z)
        z = activations[-1]
        gradient = np.exp(z - z.max(axis=1, keepdims=True))
        gradient /= gradient.sum(axis=1, keepdims=True)
        gradient[np.arange(len(x)), labels] -= 1
        gradient /= len(x)
        self._count += 1
        for i in reversed(range(len(weights))):
            w_gradient, b_gradient = gradient.T @ activations[i], gradient.sum(axis=0)
            if i > 0:
                gradient = gradient @ weights[i]
                gradient *= activations[i] > 0
            self._adam(2 * i, w_gradient)
            self._adam(2 * i + 1, b_gradient)

    def _adam(self, i: int, gradient: Array) -> None:
        """In place, without temporaries: one pass of memory for each operation."""
        (m, v), (a, b) = self._moments[i], self._room[i]
        np.subtract(gradient, m, out=a)
        a *= np.float32(1 - _BETA_1)
        m += a
        np.multiply(gradient, gradient, out=a)
        a -= v
        a *= np.float32(1 - _BETA_2)
        v += a
        np.sqrt(v, out=a)
        a += np.float32(_EPSILON)
        np.divide(m, a, out=b)
        b *= np.float32(_adam_size(self._count))
        self._parameters[i] -= b


class OpenClTrainer:
    """The same on `device`, with kernels for dense products (`dense_products.cl`)."""

    def __init__(self, device: Device, layers: Layers, batch: int) -> None:
        self._device, self._batch = device, batch
        self._kernels = device.kernels((1, 1), batch)
        self._samples = batch // self._kernels.vectors
        source = (Path(__file__).parent / "dense_products.cl").read_text()
        options = [f"-DBATCH={batch}", f"-DSAMPLES={self._samples}"]
        program = cl.Program(device.queue.context, source).build(options)
        self._program = program
        self._products: dict[tuple[object, ...], BoundKernel] = {}
        self._inputs, self._classes = layers[0][0].shape[1], len(layers[-1][0])
        self._shapes = [(features(w.shape[0]), features(w.shape[1])) for w, _ in layers]
        padded = [pad_features(pad_features(w).T).T for w, _ in layers]
        self._weights = [device.upload("weights", np.ascontiguousarray(w)) for w in padded]
        self._biases = [device.upload("weights", pad_features(b)) for _, b in layers]
        parameters = [*self._weights, *self._biases]
        self._moments = {
            id(p): [device.zeros("optimizer", *p.shape) for _ in range(2)] for p in parameters
        }
        widths = [self._shapes[0][1], *(rows for rows, _ in self._shapes)]
        self._activations = [device.zeros("activations", w, batch) for w in widths]
        self._gradients = [device.zeros("activations", w, batch) for w in widths[1:]]
        self._transposed = device.zeros("activations", max(widths) * batch)
        self._room = device.zeros("gradients", max(r * c for r, c in self._shapes))
        self._room_of_biases = device.zeros("gradients", max(widths))
        self._labels = device.buffer("activations", (batch,), np.int32)
        self._sums = [device.zeros("activations", batch) for _ in range(2)]
        self._batch_inputs = device.zeros("activations", batch, self._inputs)
        self._count = 0

    def step(self, x: Array, labels: Array) -> None:
        """One step on x float32[batch, inputs], labels int32[batch]; returns when it is done."""
        self._batch_inputs.write(x)
        self._kernels(
            "turn",
            (self._shapes[0][1], self._batch // 16),
            (16, 1),
            *(self._batch_inputs, self._activations[0], self._batch, self._inputs),
        )
        self._labels.write(labels)
        for i in range(len(self._shapes)):
            self._forward(i)
        self._kernels(
            "softmax_cross_entropy",
            (self._batch,),
            (16,),
            *(self._activations[-1], self._labels, self._gradients[-1], *self._sums),
            *(self._classes, self._batch, self._batch),
        )
        self._count += 1
        for i in reversed(range(len(self._shapes))):
            self._backward(i)
        self._device.queue.finish()

    def _forward(self, i: int) -> None:
        rows, cols = self._shapes[i]
        low = 0.0 if i + 1 < len(self._shapes) else -math.inf
        arguments = (self._weights[i], self._biases[i], *self._activations[i : i + 2])
        self._run("dense_forward", (self._kernels.vectors // 2, rows // 8), *arguments, cols, low)

    def _backward(self, i: int) -> None:
        rows, cols = self._shapes[i]
        gradient, inputs = self._gradients[i], self._activations[i]
        self._run("transpose", (cols, self._batch), inputs, self._transposed, cols)
        size = (-(-cols // (2 * self._samples)), rows // 8)
        self._run("dense_gradient", size, gradient, self._transposed, self._room, cols)
        self._kernels("bias_gradient", (rows,), (16,), gradient, self._room_of_biases)
        if i > 0:
            arguments = (self._weights[i], gradient, inputs, self._gradients[i - 1])
            size = (self._kernels.vectors // 2, cols // 8)
            self._run("dense_backward", size, *arguments, rows, cols)
        for parameter, room in (
            (self._weights[i], self._room),
            (self._biases[i], self._room_of_biases),
        ):
            self._kernels(
                "update_bias",
                (math.prod(parameter.shape),),
                (16,),
                *(room, parameter, *self._moments[id(parameter)]),
                *(_adam_size(self._count), 1 - _BETA_1, 1 - _BETA_2, _EPSILON),
            )

    def _run(self, name: str, size: tuple[int, int], *arguments: Buffer | float) -> None:
        key = (name, *(id(a) for a in arguments if isinstance(a, Buffer)))
        if key not in self._products:
            self._products[key] = BoundKernel(cl.Kernel(self._program, name))
        self._products[key].launch(self._device.queue, size, None, arguments)
