"""The numbers of a quantized or float layer, read from its operator.

`matrix` and `depthwise` handle the different shapes of weights.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from tflm_sparsesep.converters.blob.format import FullyConnectedOptions
from tflm_sparsesep.converters.blob.pack import (
    FloatWeights,
    FullyConnectedWeights,
    PackableWeights,
)
from tflm_sparsesep.converters.blob.requantization import (
    activation_range,
    float_activation_range,
    requantization,
)
from tflm_sparsesep.converters.cost import shapes
from tflm_sparsesep.converters.errors import ModelError
from tflm_sparsesep.converters.tflite.editor import (
    BuiltinOperator,
    Operator,
    Quantization,
    Tensor,
    TensorType,
)
from tflm_sparsesep.converters.tflite.types import element_bits

KNOWN_OPERATORS: dict[int, int] = {
    BuiltinOperator.FULLY_CONNECTED: 14,
    BuiltinOperator.CONV_2D: 9,
    BuiltinOperator.DEPTHWISE_CONV_2D: 8,
}
"""Operators with weights, and their newest known versions."""

# The dimensions of the input (of FULLY_CONNECTED: at least) and of the weights.
_RANKS: dict[int, tuple[int, int]] = {
    BuiltinOperator.FULLY_CONNECTED: (1, 2),
    BuiltinOperator.CONV_2D: (4, 4),
    BuiltinOperator.DEPTHWISE_CONV_2D: (4, 4),
}

_ACTIVATIONS: dict[int, str] = {
    value: name
    for name, value in vars(schema.ActivationFunctionType).items()
    if not name.startswith("_")
}


class Unsupported(Exception):
    """The layer stays dense; the message is the reason."""


def layer_name(op: Operator) -> str:
    """Return the name of a layer: that of its output, without fused parts."""
    return op.outputs[0].name.split(";")[0] if op.outputs else op.op_name


def check_structure(op: Operator) -> None:
    """Raise ModelError for an operator with weights that lacks what every reader of it uses."""
    if op.builtin_code not in _RANKS:
        return
    name, (input_rank, weight_rank) = layer_name(op), _RANKS[op.builtin_code]
    if len(op.inputs) < 2 or op.inputs[0] is None or op.inputs[1] is None or not op.outputs:
        raise ModelError(f"layer {name!r}: {op.op_name} lacks its input, weights or output")
    is_convolution = op.builtin_code != BuiltinOperator.FULLY_CONNECTED
    if is_convolution and op.options is None:
        raise ModelError(f"layer {name!r}: {op.op_name} lacks its options")
    shapes = op.inputs[0].shape, op.inputs[1].shape
    wrong_input = len(shapes[0]) != input_rank if is_convolution else len(shapes[0]) < input_rank
    if wrong_input or len(shapes[1]) != weight_rank:
        raise ModelError(
            f"layer {name!r}: weights of shape {list(shapes[1])} and input of shape "
            f"{list(shapes[0])}, accepted: {weight_rank} dimensions of weights and "
            f"{'' if is_convolution else 'at least '}{input_rank} of the input"
        )


def check_operator(op: Operator) -> None:
    """Raise ModelError for an operator that no runtime runs.

    Operators that only the sparse kernels cannot run raise Unsupported in `read_numbers`.
    """
    check_structure(op)
    name, max_version = layer_name(op), KNOWN_OPERATORS[op.builtin_code]
    if not 1 <= op.version <= max_version:
        raise ModelError(
            f"layer {name!r}: {op.op_name} version {op.version}, accepted: 1..{max_version}"
        )
    inputs, weights = op.input(0), op.weights
    if 0 in (*weights.shape, *inputs.shape):
        raise ModelError(
            f"layer {name!r}: weights of shape {list(weights.shape)} and input of shape "
            f"{list(inputs.shape)}, accepted: no dimension of 0"
        )
    for tensor in (inputs, op.outputs[0]):
        if -1 in tensor.shape_signature[1:]:
            raise ModelError(
                f"layer {name!r}: tensor {tensor.name!r} has the dynamic shape "
                f"{list(tensor.shape_signature)}, accepted: fixed shapes (only the batch, the "
                "first dimension, may be -1)"
            )


def read_weights(op: Operator) -> npt.NDArray[Any]:
    """Return the constant weights in their shape.

    Raises:
        Unsupported: the weights are not a dense constant.
    """
    weights = op.weights
    if 0 < element_bits(weights.type) < 8:
        raise Unsupported(f"weights are {weights.type_name}, sparse kernels take INT8 or FLOAT32")
    if weights.array is None or weights.raw.sparsity is not None:
        raise Unsupported("weights are not a dense constant")
    _check_finite(weights)
    return weights.array


def _check_finite(tensor: Tensor) -> None:
    """Raise ModelError for weights or a bias that training has ruined."""
    if tensor.type == TensorType.FLOAT32 and tensor.array is not None:
        bad = int(np.count_nonzero(~np.isfinite(tensor.array)))
        if bad:
            raise ModelError(f"tensor {tensor.name!r} holds {bad} NaN or infinite values")


def read_numbers(
    op: Operator, weights: npt.NDArray[Any], *, axis: int = 0
) -> tuple[PackableWeights, FullyConnectedOptions]:
    """Return the numbers of `op` as a matrix layer.

    Args:
        op: the operator.
        weights: its weights, reshaped to [rows, cols] with one output channel in each row.
        axis: the dimension of output channels in the operator's weights.

    Raises:
        Unsupported: no kernel computes the same outputs; the message is the reason.
    """
    inputs, output = op.input(0), op.outputs[0]
    rows = len(weights)
    tensors = {"input": inputs, "weights": op.weights, "output": output}
    if all(tensor.type == TensorType.FLOAT32 for tensor in tensors.values()):
        return _float_layer(op, weights)
    expected = TensorType.FLOAT32 if inputs.type == TensorType.FLOAT32 else TensorType.INT8
    for role, tensor in tensors.items():
        if tensor.type != expected:
            verb = "are" if role == "weights" else "is"
            raise Unsupported(
                f"{role} {verb} {tensor.type_name}, sparse kernels take INT8 or FLOAT32 throughout"
            )
    scales = _check_quantization(tensors, rows, axis)
    try:
        multiplier, shift = requantization(*scales, rows=rows)
    except ValueError as error:
        raise Unsupported(str(error)) from None
    layer = FullyConnectedWeights(
        weights=weights,
        bias=_bias(op, rows, TensorType.INT32).astype(np.int32),
        multiplier=multiplier,
        shift=shift,
        input_zero_point=inputs.zero_point,
    )
    return layer, _options(op, inputs, output)


def dense_bytes(operators: Iterable[Operator]) -> int:
    """Return what a file stores of dense operators, shared constants once.

    Those are weights, biases, and the quantization of both.
    """
    tensors = {t for op in operators for t in op.inputs[1:3] if t is not None}
    data = sum(buffer.stored_bytes for buffer in {t.buffer for t in tensors} if buffer is not None)
    return data + sum(_quantization_bytes(tensor) for tensor in tensors)


def parameter_bytes(op: Operator) -> int:
    """Return what a file stores of an int8 operator beside its weights.

    For a float32 operator, it is what its int8 form will store.
    """
    weights = op.weights
    if weights.type == TensorType.FLOAT32:
        units = next(reversed(op.outputs[0].shape), 0)
        return shapes.parameter_bytes(units, has_bias=op.bias is not None)
    return dense_bytes([op]) - (0 if weights.buffer is None else weights.buffer.stored_bytes)


def _quantization_bytes(tensor: Tensor) -> int:
    quantization = tensor.quantization
    if quantization is None:
        return 0
    return quantization.scales.nbytes + quantization.zero_points.nbytes


def _float_layer(
    op: Operator, weights: npt.NDArray[Any]
) -> tuple[FloatWeights, FullyConnectedOptions]:
    bias = _bias(op, len(weights), TensorType.FLOAT32).astype(np.float32)
    try:
        low, high = float_activation_range(activation_of(op))
    except ValueError as error:
        raise Unsupported(str(error)) from None
    return FloatWeights(weights, bias), FullyConnectedOptions(0, 0, low, high)


def _check_quantization(
    tensors: dict[str, Tensor], rows: int, axis: int
) -> tuple[float, npt.NDArray[np.float32], float]:
    """Return the scales of input, weights and output. Raises Unsupported for unsupported ones."""
    found: dict[str, Quantization] = {}
    for role, tensor in tensors.items():
        if tensor.quantization is None or len(tensor.quantization.scales) == 0:
            raise Unsupported(f"{role} has no quantization")
        found[role] = tensor.quantization
    weights = found["weights"]
    if np.any(weights.zero_points != 0):
        raise Unsupported("weights have a zero point other than 0")
    if len(weights.scales) > 1 and (weights.axis != axis or len(weights.scales) != rows):
        raise Unsupported("weights are not quantized per output channel")
    input_scale, output_scale = float(found["input"].scales[0]), float(found["output"].scales[0])
    finite = np.isfinite(weights.scales).all() and np.isfinite([input_scale, output_scale]).all()
    if not finite or min(input_scale, output_scale) <= 0 or np.any(weights.scales < 0):
        raise Unsupported("a quantization scale is not a positive number")
    return input_scale, weights.scales, output_scale


def _options(op: Operator, inputs: Tensor, output: Tensor) -> FullyConnectedOptions:
    zero_points = (inputs.zero_point, output.zero_point)
    assert output.quantization is not None
    try:
        low, high = activation_range(
            activation_of(op), float(output.quantization.scales[0]), zero_points[1]
        )
    except ValueError as error:
        raise Unsupported(str(error)) from None
    if not all(-128 <= value <= 127 for value in (*zero_points, low, high)) or low > high:
        raise Unsupported("a zero point or activation limit is outside int8")
    return FullyConnectedOptions(*zero_points, low, high)


def activation_of(op: Operator) -> str:
    """Return the name of the fused activation."""
    code = int(op.options.fusedActivationFunction) if op.options is not None else 0
    return _ACTIVATIONS.get(code, f"number {code}")


def _bias(op: Operator, rows: int, tensor_type: int) -> npt.NDArray[Any]:
    tensor = op.bias
    if tensor is None:
        return np.zeros(rows)
    if tensor.type != tensor_type or tensor.array is None or tensor.array.size != rows:
        raise Unsupported(
            f"bias is {tensor.type_name}{list(tensor.shape)}, expected a constant of {rows}"
        )
    _check_finite(tensor)
    return tensor.array.reshape(rows)
