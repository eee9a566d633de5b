"""The layers of an int8 model that `compress` may change, and what enters them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.compression.depthwise_form import windows_of
from tflm_sparsesep.compression.output_importance import output_importance
from tflm_sparsesep.compression.segments import Values
from tflm_sparsesep.converters.factorize import depthwise
from tflm_sparsesep.converters.factorize.chain import DenseLayer, OutputLoss, importance
from tflm_sparsesep.converters.factorize.gram import Matrix, Vector, patches
from tflm_sparsesep.converters.layers import depthwise_pair
from tflm_sparsesep.converters.layers import real as real_layer
from tflm_sparsesep.converters.layers.depthwise import DepthwiseConv, shape_of
from tflm_sparsesep.converters.layers.quantized import Unsupported, layer_name
from tflm_sparsesep.converters.layers.stages import KernelShape
from tflm_sparsesep.converters.tflite.editor import BuiltinOperator, Operator, Subgraph
from tflm_sparsesep.runtime import samples
from tflm_sparsesep.runtime.litert_tensors import Array

_LAYERS = (BuiltinOperator.FULLY_CONNECTED, BuiltinOperator.CONV_2D)
_DEPTHWISE = BuiltinOperator.DEPTHWISE_CONV_2D
# Of what enters a layer in many vectors an inference, so many are enough.
_VECTORS_PER_INPUT = 20
_LEAST_VECTORS = 4000
_LEAST_WINDOWS = 1000
_INFERENCES_AT_ONCE = 64
_SAME = 0  # schema.Padding


@dataclass(frozen=True)
class Unit:
    """One layer as it was.

    position: of its operator. kernel: height, width, channels, 1 x 1 for fully-connected layers;
    of a depthwise convolution what one channel looks at. layer: its numbers, weights flat. picks:
    which of all vectors that enter it are looked at. inputs: those vectors, float64[n, cols], of a
    depthwise convolution of all channels. importance: of its outputs, float64[rows].
    """

    position: int
    name: str
    kernel: KernelShape
    layer: DenseLayer
    picks: npt.NDArray[np.int64]
    inputs: Matrix
    importance: Vector
    is_depthwise: bool = False

    @property
    def wanted(self) -> Matrix:
        """Pre-activations of `inputs`, float64[n, rows]."""
        return self.outputs(self.layer.weights) + self.layer.bias

    def outputs(self, weights: Matrix) -> Matrix:
        """What weights [rows, cols] make of `inputs`, float64[n, rows]."""
        if self.is_depthwise:
            return depthwise.outputs(weights, windows_of(self.inputs, len(weights)))
        found: Matrix = self.inputs @ weights.T
        return found


def find_units(subgraph: Subgraph, values: Values, target: str) -> list[Unit]:
    """All layers that can take another form, given all activations on the samples.

    Depthwise convolutions are among them where their one form pays on the target.
    """
    found = []
    for position, op in enumerate(subgraph.operators):
        try:
            layer = _read(op, target)
        except Unsupported:
            continue
        if layer is not None:
            found.append((position, op, layer))
    entering = []
    for _, op, _ in found:
        source = values[op.input(0)]
        picks = _picks(op, len(source))
        entering.append((picks, vectors(op, source, picks)))
    layers = [layer for _, _, layer in found]
    positions = [position for position, _, _ in found]
    matter = _importance(subgraph, positions, layers, [x for _, x in entering], values)
    return [
        Unit(
            position,
            layer_name(op),
            kernel_of(op),
            layer,
            picks,
            inputs,
            values,
            op.builtin_code == _DEPTHWISE,
        )
        for (position, op, layer), (picks, inputs), values in zip(
            found, entering, matter, strict=True
        )
    ]


def _read(op: Operator, target: str) -> DenseLayer | None:
    """None for what is no layer, or none that could become better. Raises Unsupported likewise."""
    if op.builtin_code in _LAYERS:
        return real_layer.read(op)
    if op.builtin_code != _DEPTHWISE:
        return None
    layer = depthwise_pair.read(op)
    return layer if DepthwiseConv(shape_of(op)).best(target) is not None else None


def kernel_of(op: Operator) -> KernelShape:
    """Height, width and channels of what each output unit looks at."""
    shape = op.weights.shape
    if op.builtin_code == _DEPTHWISE:
        return (shape[1], shape[2], 1)
    if op.builtin_code == BuiltinOperator.CONV_2D:
        return (shape[1], shape[2], shape[3])
    return (1, 1, shape[1])


def vectors(op: Operator, source: Array, picks: npt.NDArray[np.int64]) -> Matrix:
    """Some of the real vectors [n, cols] that `op` multiplies with, of what enters it.

    Args:
        source: [inferences, *shape of the input], int8.
        picks: rising indices into all vectors, inference by inference.
    """
    tensor = op.input(0)
    cols, each = math.prod(kernel_of(op)), _vectors_per_inference(op)
    if op.builtin_code == _DEPTHWISE:
        cols *= tensor.shape[3]
    if op.builtin_code == BuiltinOperator.FULLY_CONNECTED:
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
    if op.builtin_code == _DEPTHWISE:
        # Each has all channels, but a channel few weights.
        most = max(_VECTORS_PER_INPUT * math.prod(kernel_of(op)), _LEAST_WINDOWS)
    if total <= most:
        return np.arange(total)
    return np.sort(np.random.default_rng(0).choice(total, most, replace=False))


def _vectors_per_inference(op: Operator) -> int:
    is_depthwise = op.builtin_code == _DEPTHWISE
    return math.prod(op.outputs[0].shape) // op.weights.shape[3 if is_depthwise else 0]


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
        if ops[start].builtin_code != BuiltinOperator.FULLY_CONNECTED:
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
