"""What viewers of models show of packed layers: facts in custom_options, and node data.

Netron and Model Explorer read custom_options as a FlexBuffer, whose root is at the end of the
bytes. So one behind the operator's own options shows there, and kernels do not read it
(`custom_ops/op_options.h`).
"""

from __future__ import annotations

import struct
from typing import Any

from flatbuffers import flexbuffers

from tflm_sparsesep.converters import op_names
from tflm_sparsesep.converters.inspect_model import inspect_model
from tflm_sparsesep.converters.layers.packed import (
    is_depthwise,
    is_paged,
    options_of,
    packed_separable,
    summarize,
)
from tflm_sparsesep.converters.layers.paged import paged_weights
from tflm_sparsesep.converters.layers.quantized import layer_name
from tflm_sparsesep.converters.rewrite import written
from tflm_sparsesep.converters.targets import TARGETS
from tflm_sparsesep.converters.tflite import editor, names
from tflm_sparsesep.converters.tflite.editor import Operator

# SPARSESEP_OPTIONS_HEAD_CONV: version 1, 4 bytes.
_CONV_HEAD = struct.pack("<HH", 1, 4)
# Facts do not depend on it.
_ANY_TARGET = next(iter(TARGETS))
# White to orange, from the least value to the largest.
_GRADIENT = [{"stop": 0, "bgColor": "#ffffff"}, {"stop": 1, "bgColor": "#ff9800"}]


def annotate(data: bytes, *, name: str = "model") -> bytes:
    """Return a model whose packed layers show their pattern, index, zeros, rows and cols.

    About 80 bytes a layer are added. What was added before is replaced.

    Raises:
        ModelError: the bytes are not a usable model, or a packed layer is damaged.
    """
    model = editor.read(data, name=name)
    for subgraph in model.subgraphs:
        for op in subgraph.operators:
            facts = _facts(op) if op.op_name in op_names.ALL else None
            if facts:
                fully_connected = op.op_name == op_names.SPARSE_FULLY_CONNECTED
                head = options_of(op).to_bytes() if fully_connected else _CONV_HEAD
                op.custom_options = head + bytes(flexbuffers.Dumps(facts))
    return written(model, data)


def _facts(op: Operator) -> dict[str, int | str] | None:
    """Return what is known of a packed layer; None of float32 separable ones."""
    if is_paged(op):
        table = paged_weights(op)
        layout = table.layout
        return {
            "cols": table.cols,
            "index": layout.index,
            "pattern": layout.pattern,
            "rows": table.rows,
        }
    if op.op_name == op_names.SEPARABLE_CONV_2D and not is_depthwise(op):
        conv, _, _ = packed_separable(op)
        if conv.vertical.is_float:
            return None
    found = summarize(op, _ANY_TARGET)
    assert found is not None
    return {
        "cols": found.cols,
        "index": found.index,
        "pattern": found.pattern,
        "rows": found.rows,
        "zeros": f"{found.zeros:.1%}",
    }


def node_data(data: bytes, *, target: str, name: str = "model") -> dict[str, dict[str, Any]]:
    """Return Model Explorer's node data of the main graph: "bytes" and "instructions" by layer.

    Each is the content of one JSON file. Layers are named by their output tensors.

    Raises:
        ModelError: the bytes are not a usable model, or a packed layer is damaged.
        ConfigError: the target is unknown.
    """
    model = editor.read(data, name=name)
    outputs = {}
    names.make_unique(model)
    for op in model.subgraphs[0].operators:
        outputs[layer_name(op)] = op.outputs[0].name
    values: dict[str, dict[str, Any]] = {"bytes": {}, "instructions": {}}
    for layer in inspect_model(data, target=target, name=name):
        packed = layer.op in op_names.ALL
        size = layer.packed_bytes if packed else layer.dense_bytes
        time = layer.sparse_instructions if packed else layer.dense_instructions
        for metric, value in (("bytes", size), ("instructions", time)):
            if value is not None and layer.name in outputs:
                values[metric][outputs[layer.name]] = {"value": value}
    return {
        metric: {"main": {"name": metric, "results": results, "gradient": _GRADIENT}}
        for metric, results in values.items()
    }
