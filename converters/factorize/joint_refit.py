"""Refit the remaining weights of consecutive layers together, to the outputs of the dense model.

With least squares layer by layer, no layer can compensate for the error of another. Here the kept
weights and biases theta of all layers minimize, over unlabeled samples,

    loss(z'_last, z_last) + inner / 2 sum_l sum_i importance_li E (z'_li - z_li)^2,

z being the dense model's pre-activations. The second term keeps inner layers close to the original:
it has hundreds of targets per sample, which prevents overfitting to a few thousand samples. Layers
without a counterpart in the dense model, the first factors of a product, are free. The inputs may
differ from those of the dense model if layers before are compressed, too. Each step solves the
linearized problem (Gauss-Newton: J^T M J delta = -gradient, by conjugate gradients with
the importance-times-power diagonal) and goes as far along delta as the loss falls. No labels, no
learning rate, no batches; a few steps are enough.

Time: three passes over the samples for each conjugate-gradient iteration. These are in float32,
since only the direction depends on them; the result is measured on samples held out. Where the loss
is quadratic and the layers are factors of one matrix, it depends on means and second moments only:
few vectors that have the same ones take the place of all windows of all samples.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.converters.factorize import chain
from tflm_sparsesep.converters.factorize.chain import (
    Array,
    Flow,
    OutputLoss,
    RealLayer,
    forward,
)
from tflm_sparsesep.converters.factorize.gram import Matrix, Vector, few_vectors
from tflm_sparsesep.converters.factorize.steps import arrive

_DAMPING = 1e-2
_ITERATIONS = 20
_HALVINGS = 6
_HELD_OUT = 0.1
# A step that leaves more of the loss is the last.
_LITTLE = 0.99
# Of a layer's outputs: so few beyond the limits leave it linear.
_FEW = 1e-3

Parameters = list[Array]  # weights of all layers, then biases of all layers


@dataclass(frozen=True)
class _Task:
    """The targets: the dense model's pre-activations on float32 samples."""

    samples: Array
    wanted: list[Array | None]  # None for layers that are free
    importance: list[Array]  # of those, zeros
    loss: OutputLoss
    inner: float

    def part(self, samples: slice) -> _Task:
        """Return the same task on some of the samples."""
        count = len(self.samples)

        def some(z: Array) -> Array:
            return z.reshape(count, -1, z.shape[1])[samples].reshape(-1, z.shape[1])

        wanted = [None if z is None else some(z) for z in self.wanted]
        return replace(self, samples=self.samples[samples], wanted=wanted)

    def value(self, layers: Sequence[RealLayer]) -> float:
        flow = forward(layers, self.samples)
        count = len(self.samples)
        last = self.wanted[-1]
        assert last is not None  # `refit` says so
        total = self.loss.value(flow.outputs[-1], last) * len(last) / count
        for z, y, matter in zip(flow.outputs[:-1], self.wanted, self.importance, strict=False):
            if y is not None:
                total += self.inner / 2 * float((np.square(z - y) @ matter).sum()) / count
        return total


def refit(
    layers: Sequence[RealLayer],
    wanted: Sequence[Matrix | None],
    samples: Matrix,
    importance: Sequence[Vector],
    *,
    loss: OutputLoss | None = None,
    inner: float = 1.0,
    steps: int = 3,
) -> list[RealLayer]:
    """Return layers with the same zeros and better weights.

    Args:
        layers: compressed ones; their zeros stay.
        wanted: float64[vectors, rows] for each layer, the dense model's pre-activations
            (`chain.forward`); None for a layer that is free. Not the last one.
        samples: float64[n, ...], what enters; the last tenth only judges.
        importance: for each layer that is not free, from the dense model's `chain.importance`.
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
        >>> dense = [RealLayer(np.array([[1.0, 1.0]]), np.zeros(1))]
        >>> thin = [RealLayer(np.array([[1.0, 0.0]]), np.zeros(1))]
        >>> wanted = forward(dense, x).outputs
        >>> found = refit(thin, wanted, x, [np.ones(1)], loss=OutputLoss(None))
        >>> found[0].weights.round(2).tolist()
        [[2.0, 0.0]]
    """
    if len(samples) < 20:
        raise ConfigError(f"{len(samples)} samples; accepted: at least 20 to refit all layers")
    now = [_float32(layer) for layer in layers]
    whole = _task(now, wanted, samples, importance, loss or OutputLoss(), inner)
    split = len(samples) - max(1, round(len(samples) * _HELD_OUT))
    task, judge = whole.part(slice(split)), whole.part(slice(split, None))
    first, linear = now, _linear(now, task)
    if linear is not None:
        first, task = linear
    best = _descend(first, task, lambda found: judge.value(_with_numbers(now, found)), steps)
    return [_float64(layer) for layer in _with_numbers(now, best)]


def _linear(layers: list[RealLayer], task: _Task) -> tuple[list[RealLayer], _Task] | None:
    """Return the problem on few vectors; None where it depends on more than their moments."""
    wanted = task.wanted[-1]
    is_quadratic = task.loss.temperature is None
    if not is_quadratic or wanted is None or any(z is not None for z in task.wanted[:-1]):
        return None
    if any(layer.steps for layer in layers[1:]):
        return None
    for layer, z in zip(layers[:-1], forward(layers[:-1], task.samples).outputs, strict=True):
        if np.mean((z <= layer.lower) | (z >= layer.upper)) > _FEW:
            return None
    free = [replace(layer, steps=(), lower=-math.inf, upper=math.inf) for layer in layers]
    cols, count = layers[0].weights.shape[1], len(task.samples)
    entering = arrive(layers[0].steps, task.samples, cols, count).vectors
    samples, last = few_vectors(entering, wanted)
    return free, replace(task, samples=samples, wanted=[*task.wanted[:-1], last])


def _descend(
    now: list[RealLayer],
    task: _Task,
    judge: Callable[[list[RealLayer]], float],
    steps: int,
) -> list[RealLayer]:
    """Return the layers after the step with the least loss of `judge`."""
    best, least = now, judge(now)
    current, damping, scale = task.value(now), _DAMPING, _scale(now, task)
    for _ in range(steps):
        delta = _direction(now, task, scale, damping)
        moved = _line_search(now, delta, task, current)
        if moved is None:
            damping *= 10
            continue
        now, current = moved
        before, value = least, judge(now)
        if value < least:
            best, least = now, value
        if value > _LITTLE * before:
            break
    return best


def _task(
    layers: Sequence[RealLayer],
    wanted: Sequence[Matrix | None],
    samples: Matrix,
    importance: Sequence[Vector],
    loss: OutputLoss,
    inner: float,
) -> _Task:
    x, given = np.asarray(samples, np.float32), iter(importance)
    targets = [None if z is None else np.asarray(z, np.float32) for z in wanted]
    matter = [
        np.asarray(np.zeros(len(layer.bias)) if z is None else next(given), np.float32)
        for layer, z in zip(layers, wanted, strict=True)
    ]
    return _Task(x, targets, matter, loss, inner)


def _scale(layers: Sequence[RealLayer], task: _Task) -> list[Array]:
    """Return the importance of all outputs, for the preconditioner."""
    if all(z is not None for z in task.wanted):
        return task.importance
    own = chain.importance(layers, task.samples, task.loss)
    pairs = zip(own, task.importance, task.wanted, strict=True)
    return [np.asarray(v if z is None else matter, np.float32) for v, matter, z in pairs]


def _line_search(
    layers: list[RealLayer], delta: Parameters, task: _Task, current: float
) -> tuple[list[RealLayer], float] | None:
    for halving in range(_HALVINGS):
        tried = _moved(layers, delta, 0.5**halving)
        if (value := task.value(tried)) < current:
            return tried, value
    return None


def _direction(
    layers: list[RealLayer], task: _Task, scale: list[Array], damping: float
) -> Parameters:
    """Solve by conjugate gradients, preconditioned by importance times mean input power."""
    flow = forward(layers, task.samples)
    masks = [layer.weights != 0 for layer in layers]
    floor = [v + np.float32(1e-3) * (v.mean() + np.float32(1e-30)) for v in scale]
    places = [np.float32(len(z) / len(task.samples)) for z in flow.outputs]
    floor = [v * n for v, n in zip(floor, places, strict=True)]
    power = [np.square(x).mean(axis=0) for x in flow.inputs[:-1]]
    diagonal = [np.outer(v, p + 1e-4) for v, p in zip(floor, power, strict=True)] + floor
    inner = [
        np.zeros_like(z) if y is None else task.inner * v * (z - y)
        for v, z, y in zip(task.importance, flow.outputs[:-1], task.wanted, strict=False)
    ]
    assert task.wanted[-1] is not None  # `refit` says so
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
    layers: list[RealLayer], flow: Flow, masks: list[Array], task: _Task, step: Parameters
) -> Parameters:
    """Return J^T M J step."""
    change: Array | None = None
    changes = []
    for i, layer in enumerate(layers):
        z = flow.inputs[i] @ step[i].T + step[len(layers) + i]
        if change is not None:
            z = z + flow.arrivals[i].push(change) @ layer.weights.T
        changes.append(z)
        change = z * flow.passes(layers, i)
    inner = [task.inner * v * z for v, z in zip(task.importance, changes[:-1], strict=False)]
    last = task.loss.curvature(flow.outputs[-1], changes[-1])
    return _backward(layers, flow, masks, last, inner)


def _backward(
    layers: list[RealLayer], flow: Flow, masks: list[Array], last: Array, inner: list[Array]
) -> Parameters:
    """Return gradients by weights, then by biases, from those by pre-activations."""
    weights: Parameters = []
    biases: Parameters = []
    error, count = last, np.float32(flow.arrivals[0].samples)
    for i in reversed(range(len(layers))):
        weights.insert(0, (error.T @ flow.inputs[i]) * masks[i] / count)
        biases.insert(0, error.sum(axis=0) / count)
        if i:
            error = flow.pull(layers, i, error @ layers[i].weights) + inner[i - 1]
    return weights + biases


def _moved(layers: list[RealLayer], delta: Parameters, size: float) -> list[RealLayer]:
    weights, biases = delta[: len(layers)], delta[len(layers) :]
    return [
        replace(layer, weights=layer.weights + size * w, bias=layer.bias + size * b)
        for layer, w, b in zip(layers, weights, biases, strict=True)
    ]


def _with_numbers(layers: list[RealLayer], found: list[RealLayer]) -> list[RealLayer]:
    """Return the layers with the weights and biases of others."""
    pairs = zip(layers, found, strict=True)
    return [replace(layer, weights=own.weights, bias=own.bias) for layer, own in pairs]


def _dot(a: Parameters, b: Parameters) -> float:
    return sum(float(np.vdot(x, y)) for x, y in zip(a, b, strict=True))


def _float32(layer: RealLayer) -> RealLayer:
    weights, bias = np.asarray(layer.weights, np.float32), np.asarray(layer.bias, np.float32)
    return replace(layer, weights=weights, bias=bias)


def _float64(layer: RealLayer) -> RealLayer:
    weights, bias = np.asarray(layer.weights, np.float64), np.asarray(layer.bias, np.float64)
    return replace(layer, weights=weights, bias=bias)
