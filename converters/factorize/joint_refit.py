"""All weights that are left, refitted together so that the chain's outputs are the dense model's.

Least squares layer by layer cannot let one layer mend what another has lost. Here the kept weights
and biases theta of all layers minimise, over unlabelled samples,

    loss(z'_last, z_last) + inner / 2 sum_l sum_i importance_li E (z'_li - z_li)^2,

z being the dense model's pre-activations. The second term keeps inner layers where they were: it
has hundreds of targets a sample, so a few thousand samples do not get learnt by heart. Each step
solves the linearised problem (Gauss-Newton: J^T M J delta = -gradient, by conjugate gradients with
the importance-times-power diagonal) and goes as far along delta as the loss falls. No labels, no
learning rate, no batches; a few steps are enough.

Time: three passes over the samples for each conjugate-gradient iteration. These are in float32,
since only the direction depends on them; the result is measured on samples held out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.converters.factorize.chain import (
    Array,
    DenseLayer,
    Flow,
    OutputLoss,
    forward,
)
from tflm_sparsesep.converters.factorize.gram import Matrix, Vector

_DAMPING = 1e-2
_ITERATIONS = 20
_HALVINGS = 6
_HELD_OUT = 0.1

Parameters = list[Array]  # weights of all layers, then biases of all layers


@dataclass(frozen=True)
class _Task:
    """What to reach: the dense model's pre-activations on float32 samples."""

    samples: Array
    wanted: list[Array]
    importance: list[Array]
    loss: OutputLoss
    inner: float

    def value(self, layers: Sequence[DenseLayer]) -> float:
        flow = forward(layers, self.samples)
        total = self.loss.value(flow.outputs[-1], self.wanted[-1])
        for z, y, matter in zip(flow.outputs[:-1], self.wanted, self.importance, strict=False):
            total += self.inner / 2 * float((np.square(z - y) @ matter).mean())
        return total


def refit(
    layers: Sequence[DenseLayer],
    dense: Sequence[DenseLayer],
    samples: Matrix,
    importance: Sequence[Vector],
    *,
    loss: OutputLoss | None = None,
    inner: float = 1.0,
    steps: int = 3,
) -> list[DenseLayer]:
    """Layers with the same zeros and better weights.

    Args:
        layers: compressed ones; their zeros stay.
        dense: the model to follow, layers of the same shapes.
        samples: float64[n, cols of the first layer]; the last tenth only judges.
        importance: of `dense`, from `chain.importance`.
        loss: how last pre-activations are compared.
        inner: weight of the inner layers' errors; 0 looks at outputs only.
        steps: most Gauss-Newton steps.

    Returns:
        The layers after the step with the least held-out loss, which may be those given.

    Raises:
        ConfigError: fewer than 20 samples.

    Example:
        Both inputs are the same, and the second weight is gone: the first takes over.

        >>> x = np.arange(40.0).repeat(2).reshape(40, 2) / 40
        >>> dense = [DenseLayer(np.array([[1.0, 1.0]]), np.zeros(1))]
        >>> thin = [DenseLayer(np.array([[1.0, 0.0]]), np.zeros(1))]
        >>> found = refit(thin, dense, x, [np.ones(1)], loss=OutputLoss(None))
        >>> found[0].weights.round(2).tolist()
        [[2.0, 0.0]]
    """
    if len(samples) < 20:
        raise ConfigError(f"{len(samples)} samples; accepted: at least 20 to refit all layers")
    now = [_float32(layer) for layer in layers]
    flow = forward([_float32(layer) for layer in dense], np.asarray(samples, np.float32))
    matter = [np.asarray(values, np.float32) for values in importance]
    split = len(samples) - max(1, round(len(samples) * _HELD_OUT))
    task, judge = (
        _Task(
            flow.inputs[0][part],
            [z[part] for z in flow.outputs],
            matter,
            loss or OutputLoss(),
            inner,
        )
        for part in (slice(split), slice(split, None))
    )
    best, least = now, judge.value(now)
    current, damping = task.value(now), _DAMPING
    for _ in range(steps):
        delta = _direction(now, task, damping)
        moved = _line_search(now, delta, task, current)
        if moved is None:
            damping *= 10
            continue
        now, current = moved
        if (value := judge.value(now)) < least:
            best, least = now, value
    return [_float64(layer) for layer in best]


def _line_search(
    layers: list[DenseLayer], delta: Parameters, task: _Task, current: float
) -> tuple[list[DenseLayer], float] | None:
    for halving in range(_HALVINGS):
        tried = _moved(layers, delta, 0.5**halving)
        if (value := task.value(tried)) < current:
            return tried, value
    return None


def _direction(layers: list[DenseLayer], task: _Task, damping: float) -> Parameters:
    """Conjugate gradients, preconditioned by importance times mean square of the input."""
    flow = forward(layers, task.samples)
    masks = [layer.weights != 0 for layer in layers]
    floor = [v + np.float32(1e-3) * (v.mean() + np.float32(1e-30)) for v in task.importance]
    power = [np.square(x).mean(axis=0) for x in flow.inputs[:-1]]
    diagonal = [np.outer(v, p + 1e-4) for v, p in zip(floor, power, strict=True)] + floor
    inner = [
        task.inner * v * (z - y)
        for v, z, y in zip(task.importance, flow.outputs[:-1], task.wanted, strict=False)
    ]
    last = task.loss.gradient(flow.outputs[-1], task.wanted[-1])
    left = [-g for g in _backward(layers, flow, masks, last, inner)]
    found = [np.zeros_like(g) for g in left]
    scaled = [g / d for g, d in zip(left, diagonal, strict=True)]
    search, strength = scaled, _dot(left, scaled)
    for _ in range(_ITERATIONS):
        if strength <= 0:
            break
        bent = _curvature(layers, flow, masks, task, search)
        bent = [b + damping * d * s for b, d, s in zip(bent, diagonal, search, strict=True)]
        alpha = strength / _dot(search, bent)
        found = [f + alpha * s for f, s in zip(found, search, strict=True)]
        left = [g - alpha * b for g, b in zip(left, bent, strict=True)]
        scaled = [g / d for g, d in zip(left, diagonal, strict=True)]
        before, strength = strength, _dot(left, scaled)
        search = [z + strength / before * s for z, s in zip(scaled, search, strict=True)]
    return found


def _curvature(
    layers: list[DenseLayer], flow: Flow, masks: list[Array], task: _Task, step: Parameters
) -> Parameters:
    """J^T M J step."""
    change: Array | None = None
    changes = []
    for i, layer in enumerate(layers):
        z = flow.inputs[i] @ step[i].T + step[len(layers) + i]
        if change is not None:
            z = z + change @ layer.weights.T
        changes.append(z)
        change = z * flow.passes(layers, i)
    inner = [task.inner * v * z for v, z in zip(task.importance, changes[:-1], strict=False)]
    last = task.loss.curvature(flow.outputs[-1], changes[-1])
    return _backward(layers, flow, masks, last, inner)


def _backward(
    layers: list[DenseLayer], flow: Flow, masks: list[Array], last: Array, inner: list[Array]
) -> Parameters:
    """Gradients by weights, then by biases, of what arrives at pre-activations."""
    weights: Parameters = []
    biases: Parameters = []
    error = last
    for i in reversed(range(len(layers))):
        weights.insert(0, (error.T @ flow.inputs[i]) * masks[i] / np.float32(len(error)))
        biases.insert(0, error.mean(axis=0))
        if i:
            error = (error @ layers[i].weights) * flow.passes(layers, i - 1) + inner[i - 1]
    return weights + biases


def _moved(layers: list[DenseLayer], delta: Parameters, size: float) -> list[DenseLayer]:
    weights, biases = delta[: len(layers)], delta[len(layers) :]
    return [
        replace(layer, weights=layer.weights + size * w, bias=layer.bias + size * b)
        for layer, w, b in zip(layers, weights, biases, strict=True)
    ]


def _dot(a: Parameters, b: Parameters) -> float:
    return sum(float(np.vdot(x, y)) for x, y in zip(a, b, strict=True))


def _float32(layer: DenseLayer) -> DenseLayer:
    weights, bias = np.asarray(layer.weights, np.float32), np.asarray(layer.bias, np.float32)
    return replace(layer, weights=weights, bias=bias)


def _float64(layer: DenseLayer) -> DenseLayer:
    weights, bias = np.asarray(layer.weights, np.float64), np.asarray(layer.bias, np.float64)
    return replace(layer, weights=weights, bias=bias)
