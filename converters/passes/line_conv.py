"""CONV_2D along one axis with mostly zero weights -> SPARSE_FULLY_CONNECTED over its windows.

Given:   CONV_2D(input[1, 1, w, c], weights[rows, 1, d, c], bias[rows]), VALID, stride s
         -> output[1, 1, windows, rows]
Result:  SPARSE_FULLY_CONNECTED(input, blob uint8[bytes]) -> output, vectors of d * c elements,
         s * c from one to the next (`FullyConnectedOptions.input_step`)

What a unit looks at lies in one piece of the input, and so it does where a kernel is as wide as
the image: [1, h, w, c] with weights [rows, d, w, c] has windows of d * w * c elements. Keras'
Conv1D is the first kind. The windows overlap and are never copied. Everything else is as for
`passes/sparse_fully_connected.py`.
"""

from __future__ import annotations

import dataclasses
import math

from tflm_sparsesep.converters.blob.format import MAX_DIM, FullyConnectedOptions
from tflm_sparsesep.converters.cost import separable_conv
from tflm_sparsesep.converters.decisions import LayerDecision
from tflm_sparsesep.converters.layers.quantized import (
    Layer,
    Unsupported,
    check_operator,
    read_numbers,
    read_weights,
    tensor_of,
)
from tflm_sparsesep.converters.layers.windows import input_step
from tflm_sparsesep.converters.passes.conversion import Conversion
from tflm_sparsesep.converters.passes.pointwise_conv import MAX_VERSION
from tflm_sparsesep.converters.passes.sparse_rewrite import rewrite_if_it_pays, stays
from tflm_sparsesep.converters.tflite.editor import Operator, Subgraph


def run(subgraph: Subgraph, conversion: Conversion) -> list[LayerDecision]:
    """Rewrites what pays on the target; one decision for each CONV_2D along an axis, in order.

    Raises ModelError for a layer of an unknown version, or of a shape that no runtime executes.
    """
    return [_rewrite(subgraph, op, conversion) for op in list(subgraph.operators) if input_step(op)]


def read_layer(op: Operator) -> tuple[Layer, FullyConnectedOptions]:
    """The numbers of a CONV_2D with an `input_step`. Raises Unsupported with the reason."""
    weights = read_weights(op)
    rows, cols, step = len(weights), math.prod(weights.shape[1:]), input_step(op)
    assert step is not None  # callers
    elements = math.prod(tensor_of(op.inputs[0]).shape)
    if max(rows, cols, step) > MAX_DIM:
        raise Unsupported(f"{rows}x{cols} weights, the packed format holds {MAX_DIM} each way")
    if elements < cols or (step == cols and elements % cols):
        raise Unsupported(f"windows of {cols} elements leave a rest of {elements}")
    layer, params = read_numbers(op, weights.reshape(rows, cols))
    options = dataclasses.replace(params, input_step=step)
    if options.windows(elements, cols) * rows != math.prod(op.outputs[0].shape):
        raise Unsupported(f"output {list(op.outputs[0].shape)} does not fit the windows")
    return layer, options


def _rewrite(subgraph: Subgraph, op: Operator, conversion: Conversion) -> LayerDecision:
    check_operator(op, weight_rank=4, max_version=MAX_VERSION)
    try:
        layer, options = read_layer(op)
    except Unsupported as reason:
        return stays(op, str(reason))
    if layer.weights.dtype != "int8":
        return stays(op, "float32 convolution: no dense figure to compare a sparse one with")
    shapes = (tensor_of(op.inputs[1]).shape, op.outputs[0].shape)
    dense = separable_conv.dense_conv(conversion.target, *shapes)
    return rewrite_if_it_pays(subgraph, op, layer, options, conversion, dense_instructions=dense)
