"""1x1 CONV_2D with mostly zero weights -> SPARSE_FULLY_CONNECTED over its pixels.

Given:   CONV_2D(input[n, h, w, cols], weights[rows, 1, 1, cols], bias[rows]), stride 1
         -> output[n, h, w, rows]
Result:  SPARSE_FULLY_CONNECTED(input, blob uint8[bytes]) -> output, a batch of n * h * w vectors

The kernels decode each index once for several pixels. Everything else is as for
`passes/sparse_fully_connected.py`.
"""

from __future__ import annotations

import math

from tflm_sparsesep.converters.blob.format import FullyConnectedOptions
from tflm_sparsesep.converters.cost import fully_connected
from tflm_sparsesep.converters.decisions import LayerDecision
from tflm_sparsesep.converters.layers.quantized import (
    Layer,
    Unsupported,
    check_operator,
    read_weights,
    tensor_of,
)
from tflm_sparsesep.converters.layers.quantized import read_layer as read_quantized_layer
from tflm_sparsesep.converters.layers.windows import input_step
from tflm_sparsesep.converters.passes.conversion import Conversion
from tflm_sparsesep.converters.passes.sparse_rewrite import rewrite_if_it_pays, stays
from tflm_sparsesep.converters.tflite.editor import BuiltinOperator, Operator, Subgraph

MAX_VERSION = 9
"""The newest CONV_2D whose meaning is known here."""


def run(subgraph: Subgraph, conversion: Conversion) -> list[LayerDecision]:
    """Rewrites what pays on the target; one decision for each CONV_2D, in order.

    Convolutions along one axis are for `line_conv`.

    Raises ModelError for a layer of an unknown version, or of a shape that no runtime executes.
    """
    operators = [op for op in subgraph.operators if op.builtin_code == BuiltinOperator.CONV_2D]
    return [_rewrite(subgraph, op, conversion) for op in operators if input_step(op) is None]


def read_layer(op: Operator) -> tuple[Layer, FullyConnectedOptions]:
    """The numbers of a 1x1 CONV_2D. Raises Unsupported with the reason."""
    weights = read_weights(op)
    rows, height, width, cols = weights.shape
    if (height, width) != (1, 1):
        raise Unsupported(f"no sparse kernel for a {height}x{width} convolution")
    if op.options is not None and (op.options.strideH, op.options.strideW) != (1, 1):
        raise Unsupported(f"no sparse kernel for stride {op.options.strideH}x{op.options.strideW}")
    if tensor_of(op.inputs[0]).shape[-1] != cols:
        raise Unsupported("no sparse kernel for grouped convolutions")
    return read_quantized_layer(op, weights.reshape(rows, cols))


def _rewrite(subgraph: Subgraph, op: Operator, conversion: Conversion) -> LayerDecision:
    check_operator(op, weight_rank=4, max_version=MAX_VERSION)
    try:
        layer, options = read_layer(op)
    except Unsupported as reason:
        return stays(op, str(reason))
    rows, cols = layer.weights.shape
    pixels = math.prod(tensor_of(op.inputs[0]).shape) // cols
    if layer.weights.dtype != "int8":
        return stays(op, "float32 convolution: no dense figure to compare a sparse one with")
    dense = fully_connected.dense_pointwise_conv(conversion.target, rows, cols, pixels)
    return rewrite_if_it_pays(subgraph, op, layer, options, conversion, dense_instructions=dense)
