"""Consecutive layers: what flows through them, and what an error in it matters.

Layers are fully connected, or convolutions: those multiply the windows of an image, one after the
other, and a max pool may lie before them (`steps`). Of an image each place is a vector of its own.

With outputs z of the last layer, compressed outputs z' and a loss that is zero at z' = z, the loss
is about (z' - z)^T M (z' - z) / 2. An error e in pre-activation i of an inner layer arrives as
J_i e, so its `importance` is E[J_i^T M J_i], the diagonal of the Gauss-Newton matrix in
pre-activations, for a softmax its Fisher matrix. No labels enter: the model's own outputs are what
is to be kept.
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
class DenseLayer:
    """y = clip(x W^T + b).

    weights: float64[rows, cols]; bias: float64[rows].
    lower, upper: limits of the activation; (0, inf) is ReLU, (0, 6) ReLU6.
    steps: from what the layer before gives to the vectors x.
    """

    weights: Array
    bias: Array
    lower: float = -math.inf
    upper: float = math.inf
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True)
class Flow:
    """What enters each layer, [vectors, cols], and its pre-activations [vectors, rows].

    Vectors are samples, or places of all samples. The last of the inputs is what leaves.
    arrivals: how each layer's vectors came about.
    """

    inputs: list[Array]
    outputs: list[Array]
    arrivals: list[Arrival]

    def pull(self, layers: Sequence[DenseLayer], i: int, slope: Array) -> Array:
        """From gradients by what enters layer i to those by the pre-activations before it."""
        found = self.arrivals[i].pull(slope).reshape(self.outputs[i - 1].shape)
        passed: Array = found * self.passes(layers, i - 1)
        return passed

    def passes(self, layers: Sequence[DenseLayer], i: int) -> npt.NDArray[np.bool_]:
        """Where layer i's activation has slope 1."""
        z = self.outputs[i]
        inside: npt.NDArray[np.bool_] = (z > layers[i].lower) & (z < layers[i].upper)
        return inside


def forward(layers: Sequence[DenseLayer], samples: Array) -> Flow:
    """Samples [n, ...] through all layers, in the dtype of samples and weights."""
    arrivals, outputs, x = [], [], samples
    for layer in layers:
        arrivals.append(arrive(layer.steps, x, layer.weights.shape[1], len(samples)))
        outputs.append(arrivals[-1].vectors @ layer.weights.T + layer.bias)
        x = np.clip(outputs[-1], layer.lower, layer.upper)
    return Flow([*(arrival.vectors for arrival in arrivals), x], outputs, arrivals)


@dataclass(frozen=True)
class OutputLoss:
    """How outputs are compared: pre-activations z' of the last layer with the dense model's z.

    temperature T: T^2 KL(softmax(z / T) || softmax(z' / T)), for classifiers. T = 1 looks at the
    few samples near a decision; with more, all scores count. None: ||z' - z||^2 / 2.

    Example:
        >>> OutputLoss(None).value(np.array([[1.0, 2.0]]), np.array([[1.0, 0.0]]))
        2.0
    """

    temperature: float | None = 4.0

    def value(self, found: Array, wanted: Array) -> float:
        """The mean over samples; 0 if both are the same."""
        if self.temperature is None:
            return float(np.square(found - wanted).sum(axis=1).mean()) / 2
        t = self.temperature
        q, p = _log_softmax(found / t), _log_softmax(wanted / t)
        return float((np.exp(p) * (p - q)).sum(axis=1).mean()) * t * t

    def gradient(self, found: Array, wanted: Array) -> Array:
        """By `found`, for each sample [n, outputs]."""
        if self.temperature is None:
            return found - wanted
        return self.temperature * (self._softmax(found) - self._softmax(wanted))

    def curvature(self, found: Array, step: Array) -> Array:
        """M step for each sample; M = diag(p) - p p^T, or the identity."""
        if self.temperature is None:
            return step
        p = self._softmax(found)
        bent: Array = p * step - p * (p * step).sum(axis=1, keepdims=True)
        return bent

    def root(self, found: Array, signs: Array) -> Array:
        """A root of M times random signs: E[root root^T] = M."""
        if self.temperature is None:
            return signs
        p = self._softmax(found)
        # (diag(sqrt p) - p sqrt(p)^T) signs has the covariance diag(p) - p p^T.
        root = np.sqrt(p) * signs
        centred: Array = root - p * root.sum(axis=1, keepdims=True)
        return centred

    def _softmax(self, found: Array) -> Array:
        assert self.temperature is not None  # callers
        return np.exp(_log_softmax(found / self.temperature))


def importance(
    layers: Sequence[DenseLayer], samples: Array, loss: OutputLoss | None = None
) -> list[Vector]:
    """What a squared error of each pre-activation matters: float64[rows] for each layer.

    Estimated with 16 random sign vectors per sample (Hutchinson), always the same ones.
    Time: 16 backward passes.
    """
    loss = loss or OutputLoss()
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
