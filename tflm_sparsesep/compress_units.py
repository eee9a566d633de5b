"""The layers of an int8 model that `compress` may change, and what enters them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tflm_sparsesep import samples
from tflm_sparsesep.converters import real_layer
from tflm_sparsesep.converters.conv_stages import KernelShape
from tflm_sparsesep.converters.factorize.chain import DenseLayer, OutputLoss, importance
from tflm_sparsesep.converters.factorize.gram import Matrix, Vector, patches
from tflm_sparsesep.converters.model_editor import BuiltinOperator, Operator, Subgraph
from tflm_sparsesep.converters.quantized_layer import Unsupported, layer_name, tensor_of
from tflm_sparsesep.litert_tensors import Array
from tflm_sparsesep.output_importance import output_importance
from tflm_sparsesep.segments import Values

_LAYERS = (BuiltinOperator.FULLY_CONNECTED, BuiltinOperator.CONV_2D)
# Of what enters a layer in many vectors an inference, so many are enough.
_VECTORS_PER_INPUT = 20
_LEAST_VECTORS = 4000
_INFERENCES_AT_ONCE = 64
_SAME = 0  # schema.Padding


@dataclass(frozen=True)
class Unit:
    """One layer as it was.

    position: of its operator. kernel: height, width, channels, 1 x 1 for fully-connected layers.
    layer: its numbers, weights flat. picks: which of all vectors that enter it are looked at.
    inputs: those vectors, float64[n, cols]. importance: of its outputs, float64[rows].
    """

    position: int
    name: str
    kernel: KernelShape
    layer: DenseLayer
    picks: npt.NDArray[np.int64]
    inputs: Matrix
    importance: Vector

    @property
    def wanted(self) -> Matrix:
        """Pre-activations of `inputs`, float64[n, rows]."""
        found: Matrix = self.inputs @ self.layer.weights.T + self.layer.bias
        return found


def find_units(subgraph: Subgraph, values: Values) -> list[Unit]:
    """All layers that can take another form, given all activations on the samples."""
    found = []
    for position, op in enumerate(subgraph.operators):
        if op.builtin_code not in _LAYERS:
            continue
        try:
            layer = real_layer.read(op)
        except Unsupported:
            continue
        found.append((position, op, layer))
    entering = []
    for _, op, _ in found:
        source = values[tensor_of(op.inputs[0])]
        picks = _picks(op, len(source))
        entering.append((picks, vectors(op, source, picks)))
    layers = [layer for _, _, layer in found]
    positions = [position for position, _, _ in found]
    matter = _importance(subgraph, positions, layers, [x for _, x in entering], values)
    return [
        Unit(position, layer_name(op), kernel_of(op), layer, picks, inputs, values)
        for (position, op, layer), (picks, inputs), values in zip(
            found, entering, matter, strict=True
        )
    ]


def kernel_of(op: Operator) -> KernelShape:
    """Height, width and channels of what each output unit looks at."""
    shape = tensor_of(op.inputs[1]).shape
    if op.builtin_code == BuiltinOperator.CONV_2D:
        return (shape[1], shape[2], shape[3])
    return (1, 1, shape[1])


def vectors(op: Operator, source: Array, picks: npt.NDArray[np.int64]) -> Matrix:
    """Some of the real vectors [n, cols] that `op` multiplies with, of what enters it.

    Args:
        source: [inferences, *shape of the input], int8.
        picks: rising indices into all vectors, inference by inference.
    """
    tensor = tensor_of(op.inputs[0])
    cols, each = math.prod(kernel_of(op)), _vectors_per_inference(op)
    if op.builtin_code != BuiltinOperator.CONV_2D:
        return _real(samples.dequantize(source.reshape(-1, cols)[picks], tensor))
    parts = []
    for start in range(0, len(source), _INFERENCES_AT_ONCE):
        part = source[start : start + _INFERENCES_AT_ONCE]
        images = samples.dequantize(part, tensor).reshape(-1, *tensor.shape[1:])
        strides = (int(op.options.strideH), int(op.options.strideW))
        same = op.options.padding == _SAME
        found = patches(images, kernel_of(op)[:2], strides=strides, same=same).reshape(-1, cols)
        first, last = np.searchsorted(picks, [start * each, (start + len(part)) * each])
        parts.append(found[picks[first:last] - start * each])
    return _real(np.concatenate(parts))


def _picks(op: Operator, inferences: int) -> npt.NDArray[np.int64]:
    total = inferences * _vectors_per_inference(op)
    most = max(_VECTORS_PER_INPUT * math.prod(kernel_of(op)), _LEAST_VECTORS, inferences)
    if total <= most:
        return np.arange(total)
    return np.sort(np.random.default_rng(0).choice(total, most, replace=False))


def _vectors_per_inference(op: Operator) -> int:
    return math.prod(op.outputs[0].shape) // tensor_of(op.inputs[1]).shape[0]


def _importance(
    subgraph: Subgraph,
    positions: Sequence[int],
    layers: Sequence[DenseLayer],
    entering: Sequence[Matrix],
    values: Values,
) -> list[Vector]:
    """What squared errors of a layer's outputs matter to what leaves its chain.

    A chain are fully-connected layers that read one another; what leaves a convolution is followed
    to the end of the model.
    """
    ops = [subgraph.operators[position] for position in positions]
    starts = [i for i, op in enumerate(ops) if not i or not _reads(op, ops[i - 1])]
    found: list[Vector] = []
    for start, end in itertools.pairwise([*starts, len(ops)]):
        if ops[start].builtin_code == BuiltinOperator.CONV_2D:
            found.append(output_importance(subgraph, positions[start], values))
        else:
            found += importance(layers[start:end], entering[start], OutputLoss(None))
    # An output that never gets through still must not be free.
    return [np.maximum(v, 1e-6 * max(float(v.max()), 1e-30)) for v in found]


def _reads(op: Operator, before: Operator) -> bool:
    """Whether both are links of a chain."""
    codes = {op.builtin_code, before.builtin_code}
    return codes == {BuiltinOperator.FULLY_CONNECTED} and op.inputs[0] is before.outputs[0]


def _real(values: Array) -> Matrix:
    return values.astype(np.float64)
