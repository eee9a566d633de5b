"""What a .tflite file holds, layer by layer: packed layers as they are, others as they would be."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from tflm_sparsesep.converters import native, op_names
from tflm_sparsesep.converters.blob.format import FullyConnectedOptions
from tflm_sparsesep.converters.blob.pack import UnpackedWeights, unpack
from tflm_sparsesep.converters.blob.pack_separable import SeparableConv, read_order
from tflm_sparsesep.converters.blob.pack_separable import unpack as unpack_separable
from tflm_sparsesep.converters.blob.paged_format import Table, is_table
from tflm_sparsesep.converters.blob.separable_format import Order
from tflm_sparsesep.converters.cost import fully_connected, separable_conv
from tflm_sparsesep.converters.decisions import LayerDecision
from tflm_sparsesep.converters.errors import ModelError
from tflm_sparsesep.converters.layers.quantized import layer_name
from tflm_sparsesep.converters.passes.conversion import Conversion
from tflm_sparsesep.converters.rewrite import PASSES
from tflm_sparsesep.converters.targets import get_target
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import Operator


def inspect_model(data: bytes, *, target: str, name: str = "model") -> list[LayerDecision]:
    """One decision for each operator that holds weights, in execution order.

    Layers that are packed already appear as rewritten. The others appear with the decision that
    `rewrite` would take for `target`. Raises ModelError for bytes that are no usable model, a
    packed layer being damaged included, and ConfigError for an unknown target.
    """
    conversion = Conversion(get_target(target).name)
    model = editor.read(data, name=name)
    decisions: list[LayerDecision] = []
    for subgraph in model.subgraphs:
        operators = list(subgraph.operators)
        try:
            decided = {d.name: d for one_pass in PASSES for d in one_pass.run(subgraph, conversion)}
            described = [_describe(op, decided, target) for op in operators]
        except ModelError as error:
            raise ModelError(f"{name}: {error}") from None
        decisions.extend(d for d in described if d is not None)
    return decisions


def packed_weights(op: Operator) -> UnpackedWeights:
    """The weights of a SPARSE_FULLY_CONNECTED. Raises ModelError where the device would refuse."""
    blob = blob_of(op)
    if is_table(blob):
        raise ModelError(
            f"layer {layer_name(op)!r}: its weights are pages in an external memory, accepted: the "
            "model as converted without page_bytes"
        )
    reason = native.validate(blob)
    if reason is not None:
        raise ModelError(f"layer {layer_name(op)!r}: {reason}")
    return unpack(blob)


def paged_weights(op: Operator) -> Table:
    """The table of contents of a paged SPARSE_FULLY_CONNECTED. Raises ModelError if damaged."""
    try:
        return Table.from_bytes(blob_of(op))
    except ValueError as error:
        raise ModelError(f"layer {layer_name(op)!r}: {error}") from None


def packed_separable(op: Operator) -> tuple[SeparableConv, Order, tuple[int, ...]]:
    """A SEPARABLE_CONV_2D, the order of its weights, and the shape [batch, height, width, channels]
    of what enters it. Raises ModelError where the device would refuse.
    """
    blob, inputs = blob_of(op), op.inputs[0]
    problem = native.validate_separable_conv(blob)
    if problem is not None or inputs is None or len(inputs.shape) != 4:
        raise ModelError(f"layer {layer_name(op)!r}: {problem or 'no image enters it'}")
    return unpack_separable(blob), read_order(blob), inputs.shape


def blob_of(op: Operator) -> bytes:
    """The packed weights of one of our operators. Raises ModelError where it has none."""
    tensor = op.inputs[1] if len(op.inputs) > 1 else None
    if tensor is None or tensor.array is None or tensor.array.dtype != np.uint8:
        raise ModelError(f"layer {layer_name(op)!r}: {op.op_name} has no constant packed weights")
    return tensor.array.tobytes()


def options_of(op: Operator) -> FullyConnectedOptions:
    """The custom_options of a SPARSE_FULLY_CONNECTED. Raises ModelError where they are damaged."""
    try:
        return FullyConnectedOptions.from_bytes(op.custom_options or b"")
    except ValueError as error:
        raise ModelError(f"layer {layer_name(op)!r}: {error}") from None


def batch_of(op: Operator, cols: int) -> int:
    """Vectors per inference of a SPARSE_FULLY_CONNECTED."""
    if op.inputs[0] is None:
        return 0
    return options_of(op).windows(math.prod(op.inputs[0].shape), cols)


def dense_instructions(op: Operator, unpacked: UnpackedWeights, target: str) -> int:
    """What the dense operator that a packed one stands for executes on `target`.

    A packed layer over the pixels of an image stands for a 1x1 convolution, one over windows for a
    convolution along one axis.
    """
    rows, cols = unpacked.weights.shape
    batch = batch_of(op, cols)
    dtype = unpacked.weights.dtype.name
    if options_of(op).input_step and op.inputs[0] is not None and dtype == "int8":
        channels = op.inputs[0].shape[-1]
        kernel = (rows, 1, cols // channels, channels)
        return separable_conv.dense_conv(target, kernel, (1, 1, batch, rows))
    if op.inputs[0] is not None and len(op.inputs[0].shape) == 4 and dtype == "int8":
        return fully_connected.dense_pointwise_conv(target, rows, cols, batch)
    return fully_connected.dense_fully_connected(target, rows, cols, batch, dtype=dtype)


def _describe(op: Operator, decided: dict[str, LayerDecision], target: str) -> LayerDecision | None:
    if op.op_name == op_names.SPARSE_FULLY_CONNECTED:
        paged = is_table(blob_of(op))
        return _describe_paged(op, target) if paged else _describe_packed(op, target)
    if op.op_name == op_names.SEPARABLE_CONV_2D:
        return _describe_separable(op, target)
    name = layer_name(op)
    if name in decided and decided[name].op in (op.op_name, op_names.SEPARABLE_CONV_2D):
        return decided[name]
    if not any(t is not None and t.is_constant and len(t.shape) > 1 for t in op.inputs):
        return None
    reason = f"no sparse kernel for {op.op_name}"
    return LayerDecision(name, op.op_name, rewritten=False, reason=reason)


def _describe_packed(op: Operator, target: str) -> LayerDecision:
    options_of(op)
    unpacked = packed_weights(op)
    rows, cols = unpacked.weights.shape
    batch = batch_of(op, cols)
    blob = blob_of(op)
    variant = native.variant_name(blob, target=target)
    sparse = None
    if fully_connected.is_measured(target, unpacked.layout):
        size = fully_connected.PackedSize.of(blob)
        sparse = fully_connected.sparse_fully_connected(target, unpacked.layout, size, batch)
    return LayerDecision(
        name=layer_name(op),
        op=op.op_name,
        rewritten=True,
        reason="packed in the file",
        rows=rows,
        cols=cols,
        batch=batch,
        zeros=float(1.0 - np.count_nonzero(unpacked.weights) / unpacked.weights.size),
        pattern=unpacked.layout.pattern,
        index=unpacked.layout.index,
        dense_bytes=unpacked.weights.nbytes + 4 * rows,
        packed_bytes=len(blob),
        dense_instructions=dense_instructions(op, unpacked, target),
        sparse_instructions=sparse,
        variant=variant,
        scratch_bytes=native.scratch_bytes(blob, max(batch, 1), target=target) if variant else None,
    )


def _describe_paged(op: Operator, target: str) -> LayerDecision:
    options_of(op)
    table = paged_weights(op)
    page = table.page_header()
    variant = native.variant_name(page, target=target, is_header=True)
    scratch = None
    if variant is not None:
        scratch = table.largest_page + native.scratch_bytes(page, target=target, is_header=True)
    return LayerDecision(
        name=layer_name(op),
        op=op.op_name,
        rewritten=True,
        reason=f"{len(table.pages)} pages of at most {table.largest_page:,} bytes, external memory",
        rows=table.rows,
        cols=table.cols,
        batch=batch_of(op, table.cols),
        pattern=table.layout.pattern,
        index=table.layout.index,
        dense_bytes=table.rows * (table.cols * table.weight_bytes + 4),
        packed_bytes=table.external_bytes,
        variant=variant,
        scratch_bytes=scratch,
    )


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
        dense_instructions=separable_conv.dense_pair(target, conv, input_shape),
        sparse_instructions=separable_conv.separable_conv(target, conv, order, input_shape),
        variant=separable_conv.variant_name(target, order),
        scratch_bytes=separable_conv.scratch_bytes(target, conv, order, input_shape),
    )
