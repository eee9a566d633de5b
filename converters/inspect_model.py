"""The layers of a .tflite file: packed layers as stored, dense layers as they would be packed."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from tflm_sparsesep.converters import native, op_names
from tflm_sparsesep.converters.blob.pack_depthwise import pointwise_weights
from tflm_sparsesep.converters.blob.size import size_of
from tflm_sparsesep.converters.blob.sparse_conv_format import HEADER
from tflm_sparsesep.converters.cost import (
    fully_connected,
    residual,
    separable_conv,
    sparse_conv,
)
from tflm_sparsesep.converters.cost.shapes import parameter_bytes
from tflm_sparsesep.converters.decisions import LayerDecision
from tflm_sparsesep.converters.errors import ModelError
from tflm_sparsesep.converters.layers.packed import (
    blob_of,
    is_depthwise,
    is_paged,
    packed_conv,
    packed_depthwise,
    packed_separable,
    packed_weights,
    replaced_instructions,
    summarize,
)
from tflm_sparsesep.converters.layers.paged import paged_batch, paged_scratch_bytes, paged_weights
from tflm_sparsesep.converters.layers.quantized import layer_name
from tflm_sparsesep.converters.passes.conversion import Conversion
from tflm_sparsesep.converters.rewrite import run_passes
from tflm_sparsesep.converters.targets import get_target
from tflm_sparsesep.converters.tflite import editor, names
from tflm_sparsesep.converters.tflite.dense_constants import Dense
from tflm_sparsesep.converters.tflite.editor import Operator
from tflm_sparsesep.converters.tflite.references import buffer_users


def inspect_model(data: bytes, *, target: str, name: str = "model") -> list[LayerDecision]:
    """Return one decision for each operator with weights, in execution order.

    Packed layers have `rewritten` set. Dense layers have the decision of `rewrite` for `target`.

    Raises:
        ModelError: the bytes are not a usable model, or a packed layer is damaged.
        ConfigError: the target is unknown.
    """
    model = editor.read(data, name=name)
    names.make_unique(model)
    Dense(model, stays_stored=target == "host").drop_expanders()
    conversion = Conversion(get_target(target).name, users=buffer_users(model))
    decisions: list[LayerDecision] = []
    for subgraph in model.subgraphs:
        operators = list(subgraph.operators)
        try:
            decided = {d.name: d for d in run_passes(subgraph, conversion)}
            left = set(subgraph.operators)
            described = [_describe(op, decided, target, left) for op in operators]
        except ModelError as error:
            raise ModelError(f"{name}: {error}") from None
        decisions.extend(d for d in described if d is not None)
    return decisions


def _describe(
    op: Operator, decided: dict[str, LayerDecision], target: str, left: set[Operator]
) -> LayerDecision | None:
    """Return the decision for an operator; None if it has no weights.

    `left` are the operators that no pass replaced.
    """
    if is_paged(op):
        return _describe_paged(op, target)
    if op.op_name == op_names.SPARSE_FULLY_CONNECTED:
        return _describe_packed(op, target)
    if is_depthwise(op):
        return _describe_depthwise(op, target)
    if op.op_name == op_names.SEPARABLE_CONV_2D:
        return _describe_separable(op, target)
    if op.op_name == op_names.SPARSE_CONV_2D:
        return _describe_conv(op, target)
    name = layer_name(op)
    if name in decided and decided[name].op in (op.op_name, *op_names.ALL):
        return decided[name]
    if not any(t is not None and t.is_constant and len(t.shape) > 1 for t in op.inputs):
        return None
    if op not in left:  # the fused layer has the name of its last operator
        return LayerDecision(name, op.op_name, rewritten=True, reason="fused with what reads it")
    reason = f"no sparse kernel for {op.op_name}"
    return LayerDecision(name, op.op_name, rewritten=False, reason=reason)


def _describe_packed(op: Operator, target: str) -> LayerDecision:
    summary = summarize(op, target)
    assert summary is not None
    unpacked, blob = packed_weights(op), blob_of(op)
    fields = {name: value for name, value in vars(summary).items() if name != "weights"}
    variant = native.variant_name(blob, target=target)
    sparse = scratch = None
    if fully_connected.is_measured(target, unpacked.layout):
        size = size_of(unpacked.weights, unpacked.layout)
        sparse = fully_connected.sparse_instructions(target, unpacked.layout, size, summary.batch)
    if variant is not None:
        scratch = native.scratch_bytes(blob, max(summary.batch, 1), target=target)
    decision = LayerDecision(
        **fields,
        rewritten=True,
        reason="packed in the file",
        packed_bytes=len(blob),
        sparse_instructions=sparse,
        variant=variant,
        scratch_bytes=scratch,
    )
    return _if_run(decision, target)


def _describe_paged(op: Operator, target: str) -> LayerDecision:
    table, batch = paged_weights(op), paged_batch(op)
    variant = native.variant_name(table.page_headers()[0], target=target, is_header=True)
    decision = LayerDecision(
        name=layer_name(op),
        op=op.op_name,
        rewritten=True,
        reason=f"{len(table.pages)} pages of at most {table.largest_page:,} bytes, external memory",
        rows=table.rows,
        cols=table.cols,
        batch=batch,
        pattern=table.layout.pattern,
        index=table.layout.index,
        dense_bytes=table.rows * table.cols * table.weight_bytes
        + parameter_bytes(table.rows, is_float=table.weight_bytes > 1),
        packed_bytes=table.external_bytes,
        variant=variant,
        scratch_bytes=None if variant is None else paged_scratch_bytes(op, target=target),
    )
    return _if_run(decision, target)


def _describe_separable(op: Operator, target: str) -> LayerDecision:
    conv, order, input_shape = packed_separable(op)
    decision = LayerDecision(
        name=layer_name(op),
        op=op.op_name,
        rewritten=True,
        reason="packed in the file",
        packed_bytes=len(blob_of(op)),
    )
    if conv.vertical.is_float or not separable_conv.is_measured(target, order):
        return decision
    return dataclasses.replace(
        decision,
        dense_instructions=separable_conv.dense_instructions(target, conv, input_shape),
        sparse_instructions=separable_conv.fused_instructions(target, conv, order, input_shape),
        variant=separable_conv.variant_name(target, order),
        scratch_bytes=separable_conv.scratch_bytes(target, conv, order, input_shape),
    )


def _describe_depthwise(op: Operator, target: str) -> LayerDecision:
    summary, packed, blob = summarize(op, target), packed_depthwise(op), blob_of(op)
    assert summary is not None
    variant = scratch = None
    if packed.pointwise is None or _has_kernel(blob, target):
        variant = native.depthwise_variant_name(blob, target=target)
        height, width = packed.inputs[1:3]
        scratch = native.depthwise_scratch_bytes(blob, height, width, target=target)
    fields = {name: value for name, value in vars(summary).items() if name != "weights"}
    decision = LayerDecision(
        **fields,
        rewritten=True,
        reason="packed in the file",
        packed_bytes=len(blob),
        sparse_instructions=packed.instructions(target),
        variant=variant,
        scratch_bytes=scratch,
    )
    return _if_run(decision, target)


def _has_kernel(blob: bytes, target: str) -> bool:
    """Return True if the target has a kernel for the pointwise convolution of a block."""
    weights = pointwise_weights(blob)
    return weights is not None and native.variant_name(weights, target=target) is not None


def _describe_conv(op: Operator, target: str) -> LayerDecision:
    conv, inputs = packed_conv(op)
    weights, layout = conv.weights.weights, conv.weights.layout
    units, blob = len(weights), blob_of(op)
    variant = native.variant_name(blob[HEADER.itemsize :], target=target)
    window, sparse = conv.window, None
    if fully_connected.is_measured(target, layout):
        size = size_of(weights, layout)
        sparse = sparse_conv.sparse_instructions(target, layout, size, window, inputs)
    reason = "packed in the file"
    if conv.residual is not None and target != "host":
        added = residual.instructions(target, math.prod(op.outputs[0].shape))
        reason += ", adds a residual"
        sparse = None if sparse is None else sparse + added
    decision = LayerDecision(
        name=layer_name(op),
        op=op.op_name,
        rewritten=True,
        reason=reason,
        rows=units,
        cols=conv.window.cols,
        batch=math.prod(conv.window.output_shape(inputs, units)[:3]),
        zeros=float(1.0 - np.count_nonzero(weights) / weights.size),
        pattern=layout.pattern,
        index=layout.index,
        dense_bytes=weights.nbytes + parameter_bytes(units),
        packed_bytes=len(blob),
        dense_instructions=replaced_instructions(op, conv, target),
        sparse_instructions=sparse,
        variant=variant,
        scratch_bytes=native.conv_scratch_bytes(blob, *inputs[1:3], target=target)
        if variant
        else None,
    )
    return _if_run(decision, target)


def _if_run(decision: LayerDecision, target: str) -> LayerDecision:
    """Return the decision without instructions where the target has no kernel for it."""
    if decision.variant is not None:
        return decision
    reason = f"{decision.reason}; {target} has no kernel for it: convert for {target}"
    return dataclasses.replace(decision, sparse_instructions=None, reason=reason)
