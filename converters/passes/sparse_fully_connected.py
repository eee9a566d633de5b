"""FULLY_CONNECTED with mostly zero int8 weights -> SPARSE_FULLY_CONNECTED.

Given:   FULLY_CONNECTED(input, weights int8[rows, cols], bias int32[rows]) -> output
Result:  SPARSE_FULLY_CONNECTED(input, blob uint8[bytes]) -> output

The blob holds weights, bias, and the requantisation of each row; zero points and activation
limits go into custom_options (`packed_format.FullyConnectedOptions`). The output is the same bit
for bit. Layers that would not get both smaller and faster stay, and so do those of kinds that no
kernel covers; the decision says why.
"""

from __future__ import annotations

import math

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from tflm_sparsesep.converters import cost_model, op_names
from tflm_sparsesep.converters.choose_layout import choose_layout, reason_to_stay_dense
from tflm_sparsesep.converters.decisions import LayerDecision
from tflm_sparsesep.converters.errors import ModelError
from tflm_sparsesep.converters.model_editor import (
    BuiltinOperator,
    Operator,
    Subgraph,
    Tensor,
    TensorType,
)
from tflm_sparsesep.converters.pack import FullyConnectedWeights
from tflm_sparsesep.converters.packed_format import MAX_DIM, FullyConnectedOptions
from tflm_sparsesep.converters.requantization import activation_range, requantization

MAX_VERSION = 14
"""The newest FULLY_CONNECTED whose meaning is known here."""

_ACTIVATIONS = {
    value: name
    for name, value in vars(schema.ActivationFunctionType).items()
    if not name.startswith("_")
}


class Unsupported(Exception):
    """The layer stays as it is; the message is the reason."""


def run(subgraph: Subgraph, target: str) -> list[LayerDecision]:
    """Rewrites what pays on `target`; one decision for each FULLY_CONNECTED, in order.

    Raises ModelError for a layer of an unknown version, or of a shape that no runtime executes.
    """
    operators = [
        op for op in subgraph.operators if op.builtin_code == BuiltinOperator.FULLY_CONNECTED
    ]
    return [_rewrite(subgraph, op, target) for op in operators]


def layer_name(op: Operator) -> str:
    """How users know a layer: its output's name without the fused parts."""
    return op.outputs[0].name.split(";")[0]


def _rewrite(subgraph: Subgraph, op: Operator, target: str) -> LayerDecision:
    name = layer_name(op)
    _check(op, name)
    try:
        layer, options = read_layer(op)
    except Unsupported as reason:
        return LayerDecision(name, op.op_name, rewritten=False, reason=str(reason))

    rows, cols = layer.weights.shape
    batch = math.prod(_tensor(op.inputs[0]).shape) // cols
    zeros = float(1.0 - np.count_nonzero(layer.weights) / layer.weights.size)
    dense_bytes = layer.weights.nbytes + (layer.bias.nbytes if _bias_tensor(op) else 0)
    dense_cost = cost_model.dense_fully_connected(target, rows, cols, batch)
    best = choose_layout(layer, target, batch)
    stay = reason_to_stay_dense(
        best,
        zeros=zeros,
        target=target,
        dense_instructions=dense_cost,
        dense_bytes=dense_bytes,
    )
    if stay is None:
        _replace(subgraph, op, best.blob, options)
    return LayerDecision(
        name=name,
        op=op.op_name,
        rewritten=stay is None,
        reason=stay or f"{zeros:.1%} zeros: sparse wins on {target}",
        rows=rows,
        cols=cols,
        batch=batch,
        zeros=zeros,
        pattern=best.layout.pattern,
        index=best.layout.index,
        dense_bytes=dense_bytes,
        packed_bytes=len(best.blob),
        dense_instructions=dense_cost,
        sparse_instructions=best.instructions,
    )


def _check(op: Operator, name: str) -> None:
    """What makes the whole model unfit, rather than this layer unfit for us."""
    if not 1 <= op.version <= MAX_VERSION:
        raise ModelError(
            f"layer {name!r}: FULLY_CONNECTED version {op.version}, accepted: 1..{MAX_VERSION}"
        )
    if len(op.inputs) < 2 or op.inputs[0] is None or op.inputs[1] is None or not op.outputs:
        raise ModelError(f"layer {name!r}: FULLY_CONNECTED lacks its input, weights or output")
    weights = op.inputs[1]
    if len(weights.shape) != 2 or 0 in weights.shape or 0 in op.inputs[0].shape:
        raise ModelError(
            f"layer {name!r}: weights of shape {list(weights.shape)} and input of shape "
            f"{list(op.inputs[0].shape)}, accepted: [rows, cols] and no dimension of 0"
        )
    for tensor in (op.inputs[0], op.outputs[0]):
        if -1 in tensor.shape_signature[1:]:
            raise ModelError(
                f"layer {name!r}: tensor {tensor.name!r} has the dynamic shape "
                f"{list(tensor.shape_signature)}, accepted: fixed shapes (only the batch, the "
                "first dimension, may be -1)"
            )


def read_layer(op: Operator) -> tuple[FullyConnectedWeights, FullyConnectedOptions]:
    """The layer's numbers, or Unsupported with the reason."""
    inputs, weights, output = _tensor(op.inputs[0]), _tensor(op.inputs[1]), op.outputs[0]
    for role, tensor in (("input", inputs), ("weights", weights), ("output", output)):
        if tensor.type != TensorType.INT8:
            raise Unsupported(f"{role} is {tensor.type_name}, sparse kernels take INT8")
        if tensor.quantization is None or len(tensor.quantization.scales) == 0:
            raise Unsupported(f"{role} has no quantisation")
    array = weights.array
    if array is None or weights.raw.sparsity is not None:
        raise Unsupported("weights are no dense constant")
    options = op.options or schema.FullyConnectedOptionsT()
    if options.weightsFormat != schema.FullyConnectedOptionsWeightsFormat.DEFAULT:
        raise Unsupported("weights are shuffled (SHUFFLED4x16INT8)")

    rows, cols = array.shape
    if rows > MAX_DIM or cols > MAX_DIM:
        raise Unsupported(f"{rows}x{cols} weights, the packed format holds {MAX_DIM} each way")
    if math.prod(inputs.shape) % cols != 0 or output.shape[-1:] != (rows,):
        raise Unsupported(
            f"input {list(inputs.shape)} and output {list(output.shape)} do not fit "
            f"{rows}x{cols} weights"
        )
    return _quantized_layer(op, array), _options(inputs, output, options)


def _quantized_layer(op: Operator, weights: np.ndarray) -> FullyConnectedWeights:
    inputs, output = _tensor(op.inputs[0]), op.outputs[0]
    quantization = _tensor(op.inputs[1]).quantization
    assert quantization is not None  # read_layer has refused its absence
    rows = weights.shape[0]
    per_channel = len(quantization.scales) > 1
    if np.any(quantization.zero_points != 0):
        raise Unsupported("weights have a zero point other than 0")
    if per_channel and (quantization.axis != 0 or len(quantization.scales) != rows):
        raise Unsupported("weights are not quantised per output unit")
    scales = (_scale(inputs), _scale(output))
    if not np.all(np.isfinite([*scales, *quantization.scales])) or min(scales) <= 0:
        raise Unsupported("a quantisation scale is not a positive number")
    if np.any(quantization.scales < 0):
        raise Unsupported("a weight scale is negative")
    try:
        multiplier, shift = requantization(scales[0], quantization.scales, scales[1], rows)
    except ValueError as error:
        raise Unsupported(str(error)) from None
    return FullyConnectedWeights(
        weights=weights,
        bias=_bias(op, rows),
        multiplier=multiplier,
        shift=shift,
        input_zero_point=_zero_point(inputs),
    )


def _options(inputs: Tensor, output: Tensor, options: object) -> FullyConnectedOptions:
    code = options.fusedActivationFunction  # type: ignore[attr-defined]
    activation = _ACTIVATIONS.get(code, f"number {code}")
    try:
        low, high = activation_range(activation, _scale(output), _zero_point(output))
    except ValueError as error:
        raise Unsupported(str(error)) from None
    zero_points = (_zero_point(inputs), _zero_point(output))
    if not all(-128 <= value <= 127 for value in (*zero_points, low, high)) or low > high:
        raise Unsupported("a zero point or activation limit lies outside int8")
    return FullyConnectedOptions(*zero_points, low, high)


def _bias(op: Operator, rows: int) -> np.ndarray:
    tensor = _bias_tensor(op)
    if tensor is None:
        return np.zeros(rows, np.int32)
    if tensor.type != TensorType.INT32 or tensor.array is None or tensor.array.size != rows:
        raise Unsupported(f"bias is {tensor.type_name}{list(tensor.shape)}, not constant INT32")
    return tensor.array.reshape(rows)


def _replace(subgraph: Subgraph, op: Operator, blob: bytes, options: FullyConnectedOptions) -> None:
    weights = _tensor(op.inputs[1])
    packed = Tensor.constant(f"{weights.name}/packed", np.frombuffer(blob, np.uint8))
    sparse = Operator.custom(
        op_names.SPARSE_FULLY_CONNECTED,
        [op.inputs[0], packed],
        op.outputs,
        custom_options=options.to_bytes(),
    )
    subgraph.replace(op, sparse)


def _bias_tensor(op: Operator) -> Tensor | None:
    return op.inputs[2] if len(op.inputs) > 2 else None


def _tensor(tensor: Tensor | None) -> Tensor:
    assert tensor is not None  # _check has refused operators without input or weights
    return tensor


def _scale(tensor: Tensor) -> float:
    assert tensor.quantization is not None
    return float(tensor.quantization.scales[0])


def _zero_point(tensor: Tensor) -> int:
    assert tensor.quantization is not None
    points = tensor.quantization.zero_points
    return int(points[0]) if len(points) else 0
