"""FULLY_CONNECTED with mostly zero weights -> SPARSE_FULLY_CONNECTED.

Given:   FULLY_CONNECTED(input, weights[rows, cols], bias[rows]) -> output
Result:  SPARSE_FULLY_CONNECTED(input, blob uint8[bytes]) -> output

The blob holds weights, bias, and the requantisation of each row; zero points and activation
limits go into custom_options (`packed_format.FullyConnectedOptions`). int8 outputs are the same
bit for bit. Layers that would not get both smaller and faster stay, and so do those of kinds that
no kernel covers; the decision says why.
"""

from __future__ import annotations

import math

from ai_edge_litert import schema_py_generated as schema

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
from tflm_sparsesep.converters.passes.conversion import Conversion
from tflm_sparsesep.converters.passes.sparse_rewrite import rewrite_if_it_pays, stays
from tflm_sparsesep.converters.tflite.editor import BuiltinOperator, Operator, Subgraph

MAX_VERSION = 14
"""The newest FULLY_CONNECTED whose meaning is known here."""


def run(subgraph: Subgraph, conversion: Conversion) -> list[LayerDecision]:
    """Rewrites what pays on the target; one decision for each FULLY_CONNECTED, in order.

    Raises ModelError for a layer of an unknown version, or of a shape that no runtime executes.
    """
    operators = [
        op for op in subgraph.operators if op.builtin_code == BuiltinOperator.FULLY_CONNECTED
    ]
    return [_rewrite(subgraph, op, conversion) for op in operators]


def read_layer(op: Operator) -> tuple[Layer, FullyConnectedOptions]:
    """The numbers of a FULLY_CONNECTED. Raises Unsupported with the reason."""
    weights = read_weights(op)
    default = schema.FullyConnectedOptionsWeightsFormat.DEFAULT
    if op.options is not None and op.options.weightsFormat != default:
        raise Unsupported("weights are shuffled (SHUFFLED4x16INT8)")
    return read_quantized_layer(op, weights)


def _rewrite(subgraph: Subgraph, op: Operator, conversion: Conversion) -> LayerDecision:
    check_operator(op, weight_rank=2, max_version=MAX_VERSION)
    try:
        layer, options = read_layer(op)
    except Unsupported as reason:
        return stays(op, str(reason))
    rows, cols = layer.weights.shape
    batch = math.prod(tensor_of(op.inputs[0]).shape) // cols
    dense = fully_connected.dense_fully_connected(
        conversion.target, rows, cols, batch, dtype=layer.weights.dtype.name
    )
    return rewrite_if_it_pays(subgraph, op, layer, options, conversion, dense_instructions=dense)
