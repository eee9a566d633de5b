"""Layers in real numbers, the activations of consecutive layers, and the importance of errors.

Layers are fully connected, or convolutions: those multiply each window of an image, possibly after
a max pool (`steps`).

With outputs z of the last layer, compressed outputs z' and a loss that is zero at z' = z, the loss
is about (z' - z)^T M (z' - z) / 2. An error e in pre-activation i of an inner layer arrives as
J_i e, so its `importance` is E[J_i^T M J_i], the diagonal of the Gauss-Newton matrix in
pre-activations (for a softmax, the Fisher matrix). No labels are used: the reference is the output
of the original model.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.factorize.gram import Vector
from tflm_sparsesep.converters.factorize.steps import Arrival, Step, arrive

_PROBES = 16
_SEED = 0

Array = npt.NDArray[Any]  # float32 or float64


@dataclass(frozen=True)
class RealLayer:
    """A layer in real numbers: y = clip(x W^T + b).

    Attributes:
        weights: float64[rows, cols]; a convolution's are flat, cols = height * width * channels, a
            depthwise convolution's are [channels, height * width].
        bias: float64[rows].
        lower, upper: limits of the activation; (0, inf) is ReLU, (0, 6) ReLU6.
        taps, strides: height and width; 1 x 1 for fully-connected layers.
        same: SAME padding, else VALID.
        is_depthwise: each output reads one channel.
        steps: from the outputs of the layer before to the vectors x (`real_chain.read`).
    """

    weights: Array
    bias: Array
    lower: float = -math.inf
    upper: float = math.inf
    taps: tuple[int, int] = (1, 1)
    strides: tuple[int, int] = (1, 1)
    same: bool = False
    is_depthwise: bool = False
    steps: tuple[Step, ...] = ()

    @property
    def channels(self) -> int:
        """Channels of the input."""
        if self.is_depthwise:
            return len(self.weights)
        return int(self.weights.shape[1]) // math.prod(self.taps)

    @property
    def kernel(self) -> tuple[int, int, int]:
        """Height, width and channels that each output reads."""
        return (*self.taps, 1 if self.is_depthwise else self.channels)


@dataclass(frozen=True)
class Flow:
    """The activations of consecutive layers.

    Attributes:
        inputs: vectors [vectors, cols] that enter each layer, then the outputs of the last. A
            vector is a sample, or a window of a sample.
        outputs: pre-activations [vectors, rows] of each layer.
        arrivals: how the vectors of each layer were formed.
    """

    inputs: list[Array]
    outputs: list[Array]
    arrivals: list[Arrival]

    def pull(self, layers: Sequence[RealLayer], i: int, slope: Array) -> Array:
        """Return gradients by the pre-activations before layer i, given those by its inputs."""
        found = self.arrivals[i].pull(slope).reshape(self.outputs[i - 1].shape)
        passed: Array = found * self.passes(layers, i - 1)
        return passed

    def passes(self, layers: Sequence[RealLayer], i: int) -> npt.NDArray[np.bool_]:
        """Return where the activation of layer i has slope 1."""
        z = self.outputs[i]
        inside: npt.NDArray[np.bool_] = (z > layers[i].lower) & (z < layers[i].upper)
        return inside


def forward(layers: Sequence[RealLayer], samples: Array) -> Flow:
    """Run samples [n, ...] through all layers, in the dtype of samples and weights."""
    arrivals, outputs, x = [], [], samples
    for layer in layers:
        arrivals.append(arrive(layer.steps, x, layer.weights.shape[1], len(samples)))
        outputs.append(arrivals[-1].vectors @ layer.weights.T + layer.bias)
        x = np.clip(outputs[-1], layer.lower, layer.upper)
    return Flow([*(arrival.vectors for arrival in arrivals), x], outputs, arrivals)


@dataclass(frozen=True)
class OutputLoss:
    """The loss between pre-activations z' of the last layer and the original model's z.

    Attributes:
        temperature: T for classifiers: T^2 KL(softmax(z / T) || softmax(z' / T)). With T = 1 only
            samples near a decision count; with a higher T, all scores. None: ||z' - z||^2 / 2.

    Example:
        >>> OutputLoss(None).value(np.array([[1.0, 2.0]]), np.array([[1.0, 0.0]]))
        2.0
    """

    temperature: float | None = 4.0

    def value(self, found: Array, wanted: Array) -> float:
        """Return the mean loss over samples; 0 if both are the same."""
        if self.temperature is None:
            return float(np.square(found - wanted).sum(axis=1).mean()) / 2
        t = self.temperature
        q, p = _log_softmax(found / t), _log_softmax(wanted / t)
        return float((np.exp(p) * (p - q)).sum(axis=1).mean()) * t * t

    def gradient(self, found: Array, wanted: Array) -> Array:
        """Return the gradient by `found` for each sample, [n, outputs]."""
        if self.temperature is None:
            return found - wanted
        return self.temperature * (self._softmax(found) - self._softmax(wanted))

    def curvature(self, found: Array, step: Array) -> Array:
        """Return M step for each sample; M = diag(p) - p p^T, or the identity."""
        if self.temperature is None:
            return step
        p = self._softmax(found)
        bent: Array = p * step - p * (p * step).sum(axis=1, keepdims=True)
        return bent

    def root(self, found: Array, signs: Array) -> Array:
        """Return a root of M times random signs: E[root root^T] = M."""
        if self.temperature is None:
            return signs
        p = self._softmax(found)
        # (diag(sqrt p) - p sqrt(p)^T) signs has the covariance diag(p) - p p^T.
        root = np.sqrt(p) * signs
        centered: Array = root - p * root.sum(axis=1, keepdims=True)
        return centered

    def _softmax(self, found: Array) -> Array:
        assert self.temperature is not None  # callers
        return np.exp(_log_softmax(found / self.temperature))


def importance(
    layers: Sequence[RealLayer], samples: Array, loss: OutputLoss | None = None
) -> list[Vector]:
    """Return the weight of a squared error in each pre-activation, float64[rows] per layer.

    Estimated with 16 random sign vectors per sample (Hutchinson) from a fixed seed. Time: 16
    backward passes.
    """
    loss = loss or OutputLoss()
    if len(layers) == 1 and loss.temperature is None:
        return [np.ones(len(layers[0].bias))]
    rng = np.random.default_rng(_SEED)
    flow = forward(layers, samples)
    found = [np.zeros(len(layer.bias)) for layer in layers]
    for _ in range(_PROBES):
        signs = rng.choice([-1.0, 1.0], flow.outputs[-1].shape)
        error = loss.root(flow.outputs[-1], signs)
        for i in reversed(range(len(layers))):
            found[i] += np.square(error).mean(axis=0) / _PROBES
            if i:
                error = flow.pull(layers, i, error @ layers[i].weights)
    return found


def _log_softmax(values: Array) -> Array:
    shifted = values - values.max(axis=1, keepdims=True)
    logs: Array = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return logs
