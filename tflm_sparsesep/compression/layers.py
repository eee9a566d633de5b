"""The layers of an int8 model that `compress` may change, and their inputs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.compression.factorization import (
    DepthwiseFitProblem,
    FitProblem,
    MatrixFitProblem,
    depthwise_windows,
)
from tflm_sparsesep.compression.output_importance import output_importance
from tflm_sparsesep.compression.segments import Values
from tflm_sparsesep.converters.cost.break_even import break_even_depthwise
from tflm_sparsesep.converters.factorize import depthwise
from tflm_sparsesep.converters.factorize.chain import OutputLoss, RealLayer, importance
from tflm_sparsesep.converters.factorize.depthwise import ChannelMoments
from tflm_sparsesep.converters.factorize.gram import GramAccumulator, Matrix, Vector, windows
from tflm_sparsesep.converters.layers import real
from tflm_sparsesep.converters.layers.depthwise import shape_of
from tflm_sparsesep.converters.layers.quantized import Unsupported, layer_name
from tflm_sparsesep.converters.layers.real import DEPTHWISE
from tflm_sparsesep.converters.tflite.editor import BuiltinOperator, Model, Operator
from tflm_sparsesep.converters.tflite.references import buffer_users, is_shared
from tflm_sparsesep.runtime import samples
from tflm_sparsesep.runtime.litert_tensors import Array

# Sample caps for layers that see many input vectors per inference.
_VECTORS_PER_INPUT = 20
_LEAST_VECTORS = 4000
_LEAST_WINDOWS = 1000
_INFERENCES_AT_ONCE = 64
# Of each Gram matrix, relative to the mean of its diagonal.
_DAMPING = 1e-2


@dataclass(frozen=True)
class CompressibleLayer:
    """One layer of the original model.

    Attributes:
        position: of its operator in the main subgraph.
        name: of the layer.
        real: its numbers.
        picks: indices of the sampled input vectors, among all of all inferences.
        inputs: those vectors, float64[n, cols]; of a depthwise convolution with all channels.
        importance: of its outputs, float64[rows].
    """

    position: int
    name: str
    real: RealLayer
    picks: npt.NDArray[np.int64]
    inputs: Matrix
    importance: Vector

    def fit_problem(
        self, inputs: Matrix, *, to_original: bool = False
    ) -> tuple[FitProblem, Vector]:
        """Return the fit problem on some inputs, and the bias that goes with its target.

        Args:
            inputs: float64[n, cols], such as `self.inputs`.
            to_original: approximate the pre-activations of the original layer on `self.inputs`,
                rather than those that the layer's weights have on `inputs`.
        """
        weights, bias = self.real.weights, self.real.bias
        wanted = self.pre_activations() if to_original else None
        if self.real.is_depthwise:
            moments = ChannelMoments.of(depthwise_windows(inputs, len(weights)), wanted)
            if wanted is not None:
                weights, bias = moments.target_weights(weights, damping=_DAMPING)
            damped = moments.damped(_DAMPING)
            return DepthwiseFitProblem(weights, damped, self.importance, self.real.taps), bias
        accumulator = GramAccumulator()
        accumulator.add(inputs, wanted)
        gram = accumulator.finish()
        if wanted is not None:
            weights, bias = gram.target_weights(weights, damping=_DAMPING)
        problem = MatrixFitProblem(
            weights, gram.damped(_DAMPING), self.importance, self.real.kernel
        )
        return problem, bias

    def pre_activations(self) -> Matrix:
        """Return those of `inputs`, float64[n, rows]."""
        weights = self.real.weights
        if self.real.is_depthwise:
            products = depthwise.outputs(weights, depthwise_windows(self.inputs, len(weights)))
        else:
            products = self.inputs @ weights.T
        return products + self.real.bias


def find_layers(model: Model, values: Values, target: str) -> list[CompressibleLayer]:
    """Return all layers that can be factorized, given all activations on the samples.

    Depthwise convolutions are included if separating them pays on the target. Weights with other
    users stay: a second copy would only enlarge the file.
    """
    found, users = [], buffer_users(model)
    for position, op in enumerate(model.subgraphs[0].operators):
        layer = None if is_shared(op, users) else _read(op, target)
        if layer is not None:
            source = values[op.input(0)]
            picks = _picks(op, len(source))
            found.append((position, op, layer, picks, vectors(op, source, picks)))
    positions, operators, layers, _, inputs = zip(*found, strict=True) if found else [()] * 5
    weights = _importance(model, positions, operators, layers, inputs, values)
    return [
        CompressibleLayer(position, layer_name(op), layer, picks, inputs, own)
        for (position, op, layer, picks, inputs), own in zip(found, weights, strict=True)
    ]


def _read(op: Operator, target: str) -> RealLayer | None:
    """Return the layer of `op`; None where there is none that could improve."""
    try:
        layer = real.read(op)
    except Unsupported:
        return None
    if layer.is_depthwise and break_even_depthwise(shape_of(op), target) is None:
        return None
    return layer


def vectors(op: Operator, source: Array, picks: npt.NDArray[np.int64]) -> Matrix:
    """Return some of the real vectors [n, cols] that `op` multiplies.

    Args:
        op: a layer.
        source: its input [inferences, *shape], int8.
        picks: ascending indices into all vectors, inference by inference.
    """
    tensor = op.input(0)
    if op.builtin_code == BuiltinOperator.FULLY_CONNECTED:
        cols = op.weights.shape[1]
        return _float64(samples.dequantize(source.reshape(-1, cols)[picks], tensor))
    each, (height, width) = vectors_per_inference(op), op.weights.shape[1:3]
    parts = []
    for start in range(0, len(source), _INFERENCES_AT_ONCE):
        part = source[start : start + _INFERENCES_AT_ONCE]
        images = _float64(samples.dequantize(part, tensor)).reshape(-1, *tensor.shape[1:])
        found = windows(images, (height, width), strides=op.strides, same=op.is_same)
        first, last = np.searchsorted(picks, [start * each, (start + len(part)) * each])
        places = np.unravel_index(picks[first:last] - start * each, found.shape[:3])
        parts.append(found[places].reshape(last - first, -1))
    return np.concatenate(parts)


def _picks(op: Operator, inferences: int) -> npt.NDArray[np.int64]:
    total = inferences * vectors_per_inference(op)
    # A depthwise convolution samples windows with all channels, but a channel has few weights.
    weights, least = math.prod(op.weights.shape[1:]), max(_LEAST_VECTORS, inferences)
    if op.builtin_code == DEPTHWISE:
        weights, least = math.prod(op.weights.shape[1:3]), _LEAST_WINDOWS
    most = max(_VECTORS_PER_INPUT * weights, least)
    if total <= most:
        return np.arange(total)
    return np.sort(np.random.default_rng(0).choice(total, most, replace=False))


def vectors_per_inference(op: Operator) -> int:
    """Return how many vectors a layer multiplies: pixels or windows, or rows."""
    units = op.weights.shape[3 if op.builtin_code == DEPTHWISE else 0]
    return math.prod(op.outputs[0].shape) // units


def _importance(
    model: Model,
    positions: Sequence[int],
    operators: Sequence[Operator],
    layers: Sequence[RealLayer],
    inputs: Sequence[Matrix],
    values: Values,
) -> list[Vector]:
    """Return the weight of a squared error in each output of each layer.

    The error of a fully-connected layer is followed to the end of its chain, the layers that read
    one another; the error of a convolution to the end of the model.
    """
    starts = [i for i, op in enumerate(operators) if not i or not _chained(op, operators[i - 1])]
    found: list[Vector] = []
    for start, end in itertools.pairwise([*starts, len(operators)]):
        if operators[start].builtin_code != BuiltinOperator.FULLY_CONNECTED:
            main, *others = model.subgraphs
            found.append(output_importance(main, positions[start], values, others))
        else:
            found += importance(layers[start:end], inputs[start], OutputLoss(None))
    # An output that never reaches the end still must not be free.
    return [np.maximum(v, 1e-6 * max(float(v.max()), 1e-30)) for v in found]


def _chained(op: Operator, before: Operator) -> bool:
    """Return True if `op` reads `before` and both are fully connected."""
    codes = {op.builtin_code, before.builtin_code}
    return codes == {BuiltinOperator.FULLY_CONNECTED} and op.inputs[0] is before.outputs[0]


def _float64(values: Array) -> Matrix:
    return values.astype(np.float64)
