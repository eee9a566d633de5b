"""Read the fully-connected layers that lead to a .tflite model's output, and write them back."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters import op_names
from tflm_sparsesep.converters.errors import ModelError
from tflm_sparsesep.converters.layers import real as real_layer
from tflm_sparsesep.converters.layers.matrix import read_matrix_layer
from tflm_sparsesep.converters.layers.packed import blob_of, options_of
from tflm_sparsesep.converters.layers.quantized import Unsupported, layer_name
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import (
    BuiltinOperator,
    Operator,
    Subgraph,
    Tensor,
    TensorType,
)
from tflm_sparsesep.opencl.blob import Deployment, read_blob, write_blob
from tflm_sparsesep.opencl.sparse_layer import SparseLayer
from tflm_sparsesep.runtime import files

# Operators after the last layer that keep the order of the outputs.
_TRAILING = (
    BuiltinOperator.SOFTMAX,
    BuiltinOperator.DEQUANTIZE,
    BuiltinOperator.QUANTIZE,
)
_DENSE_PATTERN = "4x4"


@dataclass
class _HeadLayer:
    """An operator and the deployment of its weights; None for a dense FULLY_CONNECTED."""

    operator: Operator
    deployment: Deployment | None


class TfliteHead:
    """A model, or its file, that is read once, and written with other weights any number of times.

    `layers` are those that were read, in order of execution.

    Raises:
        ModelError: the model is not intact, or no fully-connected layer leads to its output.
    """

    def __init__(self, model: bytes | str | Path) -> None:
        """Read a model; arguments and errors are those of the class."""
        if isinstance(model, bytes):
            self._model = editor.read(model)
        else:
            self._model = editor.read(files.read_model(Path(model)), name=str(model))
        operators = _head_operators(self._model.subgraphs[0], self._model.name)
        found = [_read(op) for op in operators]
        self._operators = [layer for _, layer in found]
        self.layers = [layer for layer, _ in found]

    def write(self, layers: Sequence[SparseLayer]) -> bytes:
        """Return the model with the weights and biases of `layers`, one for each that was read."""
        for head, layer in zip(self._operators, layers, strict=True):
            op = head.operator
            if head.deployment is not None:
                blob, head.deployment = write_blob(layer, head.deployment)
                old = op.weights
                op.inputs[1] = Tensor.constant(old.name, np.frombuffer(blob, np.uint8))
            elif op.weights.type == TensorType.FLOAT32:
                _write_float(op, layer)
            else:
                weights = layer.to_dense().astype(np.float64)
                real_layer.write(op, weights, layer.bias.astype(np.float64))
        editor.prune_unused(self._model)
        return editor.write(self._model)


def _head_operators(subgraph: Subgraph, name: str) -> list[Operator]:
    """Return the fully-connected operators that lead to the output, in order of execution."""
    if len(subgraph.outputs) != 1:
        raise ModelError(f"{name}: {len(subgraph.outputs)} outputs; accepted for training: one")
    tensor = subgraph.outputs[0]
    found: list[Operator] = []
    while True:
        op = subgraph.producer(tensor)
        # Weights that other outputs depend on cannot be trained on this output alone.
        shared = tensor is not subgraph.outputs[0] and len(subgraph.consumers(tensor)) > 1
        if op is None or shared or not op.inputs or op.inputs[0] is None:
            break
        if _is_fully_connected(op):
            found.append(op)
        elif op.builtin_code != BuiltinOperator.RESHAPE and (
            found or op.builtin_code not in _TRAILING
        ):
            break
        tensor = op.inputs[0]
    if not found:
        last = "an input" if op is None else op.op_name
        raise ModelError(
            f"{name}: its output comes from {last}; accepted for training: layers "
            f"{op_names.SPARSE_FULLY_CONNECTED} and FULLY_CONNECTED, one vector a sample"
        )
    return found[::-1]


def _is_fully_connected(op: Operator) -> bool:
    """Tell if `op` takes one vector per sample; 1x1 convolutions take one per pixel."""
    if (
        op.builtin_code != BuiltinOperator.FULLY_CONNECTED
        and op.op_name != op_names.SPARSE_FULLY_CONNECTED
    ):
        return False
    entering, leaving = op.input(0), op.outputs[0]
    samples = entering.shape[0] if entering.shape else 1
    return math.prod(leaving.shape) == samples * leaving.shape[-1]


def _read(op: Operator) -> tuple[SparseLayer, _HeadLayer]:
    if op.op_name == op_names.SPARSE_FULLY_CONNECTED:
        layer, deployment = read_blob(
            blob_of(op),
            options_of(op),
            input_scale=_scale(op.input(0)),
            output_scale=_scale(op.outputs[0]),
        )
        return layer, _HeadLayer(op, deployment)
    try:
        if op.weights.type == TensorType.FLOAT32:
            weights, bias, limits = _read_float(op)
        else:
            dense = real_layer.read(op)
            weights, bias, limits = dense.weights, dense.bias, (dense.lower, dense.upper)
    except Unsupported as reason:
        raise ModelError(f"layer {layer_name(op)!r}: {reason}") from None
    layer = SparseLayer.from_dense(
        weights, bias, pattern=_DENSE_PATTERN, limits=limits, keep_all=True
    )
    return layer, _HeadLayer(op, None)


def _scale(tensor: Tensor) -> float | None:
    """Return the scale of an int8 tensor."""
    if tensor.quantization is None or len(tensor.quantization.scales) != 1:
        return None
    return float(tensor.quantization.scales[0])


def _read_float(
    op: Operator,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], tuple[float, float]]:
    matrix = read_matrix_layer(op)
    layer, options = matrix.weights, matrix.options
    low, high = np.array([options.activation_min, options.activation_max], np.int32).view(
        np.float32
    )
    weights, bias = layer.weights.astype(np.float32), layer.bias.astype(np.float32)
    return weights, bias, (float(low), float(high))


def _write_float(op: Operator, layer: SparseLayer) -> None:
    old = op.weights
    op.inputs[1] = _replaced(old, layer.to_dense())
    bias = op.bias
    if bias is None:
        op.inputs[2:] = [Tensor.constant(f"{old.name}/bias", layer.bias)]
    else:
        op.inputs[2] = _replaced(bias, layer.bias)


def _replaced(tensor: Tensor, values: npt.NDArray[np.float32]) -> Tensor:
    """Copy `tensor` with other values: other operators may share it."""
    changed = copy.copy(tensor)
    changed.raw = copy.copy(tensor.raw)
    changed.array = np.ascontiguousarray(values).reshape(tensor.shape)
    return changed
