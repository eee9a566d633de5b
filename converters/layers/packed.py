"""Operators of ours in a model, read back: their numbers, and what a benchmark measures of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from tflm_sparsesep.converters import native, op_names
from tflm_sparsesep.converters.blob.format import FullyConnectedOptions
from tflm_sparsesep.converters.blob.pack import UnpackedWeights, unpack
from tflm_sparsesep.converters.blob.pack_separable import SeparableConv, read_order
from tflm_sparsesep.converters.blob.pack_separable import unpack as unpack_separable
from tflm_sparsesep.converters.blob.pack_sparse_conv import UnpackedConv, unpack_conv
from tflm_sparsesep.converters.blob.paged_format import Table, is_table
from tflm_sparsesep.converters.blob.separable_format import Order
from tflm_sparsesep.converters.cost import separable_conv, sparse_conv
from tflm_sparsesep.converters.cost.shapes import BIAS_BYTES, MatrixShape
from tflm_sparsesep.converters.errors import ModelError
from tflm_sparsesep.converters.layers.quantized import layer_name
from tflm_sparsesep.converters.tflite.editor import Operator


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


def packed_conv(op: Operator) -> tuple[UnpackedConv, tuple[int, ...]]:
    """Return a SPARSE_CONV_2D and the shape [batch, height, width, channels] of what enters it.

    Raises ModelError where the device would refuse.
    """
    blob, inputs = blob_of(op), op.inputs[0]
    problem = native.validate_sparse_conv(blob)
    if problem is not None or inputs is None or len(inputs.shape) != 4:
        raise ModelError(f"layer {layer_name(op)!r}: {problem or 'no image enters it'}")
    return unpack_conv(blob), inputs.shape


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


def matrix_shape(op: Operator, rows: int, cols: int) -> MatrixShape:
    """Return the shape of a SPARSE_FULLY_CONNECTED, as of the dense operator that it stands for.

    A packed layer over the pixels of an image stands for a 1x1 convolution, one over windows for a
    convolution along one axis.
    """
    shape, taps = op.input(0).shape, 0
    if options_of(op).input_step:
        taps = cols // shape[-1]
    elif len(shape) == 4:
        taps = 1
    return MatrixShape(rows, cols, batch_of(op, cols), taps, BIAS_BYTES * rows)


def dense_instructions(op: Operator, unpacked: UnpackedWeights, target: str) -> int:
    """Return what the dense operator that a packed one stands for executes on `target`."""
    dtype = unpacked.weights.dtype.name
    shape = matrix_shape(op, *unpacked.weights.shape)
    if dtype != "int8":
        shape = replace(shape, taps=0)
    return shape.dense_instructions(target, dtype)


@dataclass(frozen=True)
class PackedLayer:
    """One operator of ours.

    Attributes:
        operator: as it stands in the model.
        options: its custom_options.
        blob: its packed weights.
        input_shape, output_shape: of one inference on the device.
        rows, cols, batch, weights, zeros, pattern, index, dense_bytes, dense_instructions: as in
            `benchmark.LayerFigures`.
    """

    operator: Operator
    options: bytes
    blob: bytes
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    rows: int
    cols: int
    batch: int
    weights: int
    zeros: float
    pattern: str
    index: str
    dense_bytes: int
    dense_instructions: int


def read_packed_layer(op: Operator, target: str) -> PackedLayer | None:
    """What is to be measured of `op`; None for operators that are not ours.

    Raises ModelError for a damaged layer, and for a float32 convolution: CMSIS-NN has no dense one
    that it could be compared with.
    """
    if op.op_name == op_names.SPARSE_FULLY_CONNECTED:
        return _fully_connected(op, target)
    if op.op_name == op_names.SEPARABLE_CONV_2D:
        return _separable_conv(op, target)
    if op.op_name == op_names.SPARSE_CONV_2D:
        return _sparse_conv(op, target)
    return None


def _fully_connected(op: Operator, target: str) -> PackedLayer:
    unpacked = packed_weights(op)
    rows, cols = unpacked.weights.shape
    batch, options = batch_of(op, cols), options_of(op)
    return PackedLayer(
        operator=op,
        options=options.to_bytes(),
        blob=blob_of(op),
        input_shape=(batch, cols) if not options.input_step else op.input(0).shape,
        output_shape=(batch, rows),
        rows=rows,
        cols=cols,
        batch=batch,
        weights=unpacked.weights.size,
        zeros=float(1.0 - np.count_nonzero(unpacked.weights) / unpacked.weights.size),
        pattern=unpacked.layout.pattern,
        index=unpacked.layout.index,
        dense_bytes=unpacked.weights.nbytes + 4 * rows,
        dense_instructions=dense_instructions(op, unpacked, target),
    )


def _separable_conv(op: Operator, target: str) -> PackedLayer:
    conv, order, input_shape = packed_separable(op)
    stages = (conv.vertical, conv.horizontal)
    if conv.vertical.is_float:
        raise ModelError(
            f"layer {layer_name(op)!r}: float32 {op.op_name} has no dense figure to compare with, "
            "accepted: int8"
        )
    weights = sum(stage.weights.size for stage in stages)
    nonzeros = sum(int(np.count_nonzero(stage.weights)) for stage in stages)
    return PackedLayer(
        operator=op,
        options=op.custom_options or b"",
        blob=blob_of(op),
        input_shape=input_shape,
        output_shape=conv.output_shape(input_shape),
        rows=conv.horizontal.units,
        cols=conv.vertical.channels,
        batch=input_shape[0],
        weights=weights,
        zeros=1.0 - nonzeros / weights,
        pattern=f"{conv.vertical.kernel}x1,1x{conv.horizontal.kernel}",
        index=order.name.lower(),
        dense_bytes=weights + 4 * sum(stage.units for stage in stages),
        dense_instructions=separable_conv.dense_pair(target, conv, input_shape),
    )


def _sparse_conv(op: Operator, target: str) -> PackedLayer:
    conv, input_shape = packed_conv(op)
    weights, layout = conv.weights.weights, conv.weights.layout
    if weights.dtype != np.int8:
        raise ModelError(
            f"layer {layer_name(op)!r}: float32 {op.op_name} has no dense figure to compare with, "
            "accepted: int8"
        )
    units = len(weights)
    output_shape = conv.window.output_shape(input_shape, units)
    return PackedLayer(
        operator=op,
        options=op.custom_options or b"",
        blob=blob_of(op),
        input_shape=input_shape,
        output_shape=output_shape,
        rows=units,
        cols=conv.window.cols,
        batch=math.prod(output_shape[:3]),
        weights=weights.size,
        zeros=float(1.0 - np.count_nonzero(weights) / weights.size),
        pattern=layout.pattern,
        index=layout.index,
        dense_bytes=weights.nbytes + BIAS_BYTES * units,
        dense_instructions=sparse_conv.dense_instructions(target, conv.window, input_shape, units),
    )
