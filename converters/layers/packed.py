"""Packed operators of a model, read back: their numbers, shapes and dense costs."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np

from tflm_sparsesep.converters import native, op_names
from tflm_sparsesep.converters.blob import depthwise_format
from tflm_sparsesep.converters.blob.format import FullyConnectedOptions
from tflm_sparsesep.converters.blob.pack import UnpackedWeights, unpack
from tflm_sparsesep.converters.blob.pack_depthwise import (
    DepthwiseLayer,
    unpack_depthwise,
    unpack_pointwise,
)
from tflm_sparsesep.converters.blob.pack_separable import SeparableConv, read_order
from tflm_sparsesep.converters.blob.pack_separable import unpack as unpack_separable
from tflm_sparsesep.converters.blob.pack_sparse_conv import UnpackedConv, unpack_conv
from tflm_sparsesep.converters.blob.paged_format import is_table
from tflm_sparsesep.converters.blob.separable_format import Order
from tflm_sparsesep.converters.blob.size import size_of
from tflm_sparsesep.converters.blob.sparse_conv_format import HEADER as CONV_HEADER
from tflm_sparsesep.converters.cost import (
    depthwise_block,
    depthwise_conv,
    depthwise_kernels,
    fully_connected,
    other_operators,
    pointwise_conv,
    separable_conv,
    sparse_conv,
)
from tflm_sparsesep.converters.cost.depthwise_kernels import DepthwiseRun
from tflm_sparsesep.converters.cost.other_operators import OtherOperator
from tflm_sparsesep.converters.cost.shapes import MatrixShape, parameter_bytes
from tflm_sparsesep.converters.errors import ModelError
from tflm_sparsesep.converters.layers.depthwise import run_of
from tflm_sparsesep.converters.layers.quantized import layer_name
from tflm_sparsesep.converters.tflite.editor import Operator


def packed_weights(op: Operator) -> UnpackedWeights:
    """Return the weights of a SPARSE_FULLY_CONNECTED.

    Raises:
        ModelError: the device would reject the blob, or the layer is paged.
    """
    _refuse_pages(op)
    blob = blob_of(op)
    reason = native.validate(blob)
    if reason is not None:
        raise ModelError(f"layer {layer_name(op)!r}: {reason}")
    return unpack(blob)


def stored_weights(op: Operator) -> bytes:
    """Return the packed weights or the table of contents of a sparse operator, without a window.

    Raises:
        ModelError: the operator has no such constant.
    """
    blob = blob_of(op)
    return blob[CONV_HEADER.itemsize :] if op.op_name == op_names.SPARSE_CONV_2D else blob


def is_paged(op: Operator) -> bool:
    """Return True for a sparse operator whose weights are pages in external memory."""
    if op.op_name not in (op_names.SPARSE_FULLY_CONNECTED, op_names.SPARSE_CONV_2D):
        return False
    tensor = op.inputs[1] if len(op.inputs) > 1 else None
    return tensor is not None and tensor.array is not None and is_table(stored_weights(op))


def _refuse_pages(op: Operator) -> None:
    if is_paged(op):
        raise ModelError(
            f"layer {layer_name(op)!r}: its weights are pages in external memory, accepted: the "
            "model as converted without page_bytes"
        )


def packed_separable(op: Operator) -> tuple[SeparableConv, Order, tuple[int, ...]]:
    """Return a SEPARABLE_CONV_2D, the order of its weights, and the shape of its input.

    Raises:
        ModelError: the device would reject the blob, or the input is not an image.
    """
    blob = _checked_separable(op)
    return unpack_separable(blob), read_order(blob), op.input(0).shape


def _checked_separable(op: Operator) -> bytes:
    blob, inputs = blob_of(op), op.inputs[0]
    problem = native.validate_separable_conv(blob)
    if problem is not None or inputs is None or len(inputs.shape) != 4:
        raise ModelError(f"layer {layer_name(op)!r}: {problem or 'its input is no image'}")
    return blob


def is_depthwise(op: Operator) -> bool:
    """Return True for a SEPARABLE_CONV_2D that begins with a depthwise convolution."""
    return op.op_name == op_names.SEPARABLE_CONV_2D and depthwise_format.is_depthwise(blob_of(op))


@dataclass(frozen=True)
class PackedDepthwise:
    """A SEPARABLE_CONV_2D that begins with a depthwise convolution.

    Attributes:
        layer: the depthwise convolution.
        pointwise: the weights of the pointwise convolution that follows; None where none does.
        inputs: the shape of its input.
    """

    layer: DepthwiseLayer
    pointwise: UnpackedWeights | None
    inputs: tuple[int, ...]

    @property
    def run(self) -> DepthwiseRun:
        """What the cost of the depthwise convolution depends on."""
        return run_of(self.layer, self.inputs)

    @property
    def pixels(self) -> int:
        """Of the output, of all images."""
        return math.prod(self.layer.output_shape(self.inputs)[:3])

    def dense_instructions(self, target: str) -> int:
        """Return the instructions of the one or two operators that it replaces.

        On one channel CONV_2D computes the same; the faster operator counts.
        """
        dense = depthwise_conv.dense_instructions(target, self.run.shape)
        if self.layer.window.channels == 1:
            shape = self.layer.window, self.inputs, self.layer.units
            dense = min(dense, sparse_conv.dense_instructions(target, *shape))
        if self.pointwise is None:
            return dense
        rows, cols = self.pointwise.weights.shape
        return dense + pointwise_conv.dense_instructions(target, rows, cols, self.pixels)

    def instructions(self, target: str) -> int | None:
        """Return the instructions on a target; None where its layout was not measured there."""
        if target == "host":
            return None
        if self.pointwise is None:
            return depthwise_kernels.instructions(target, self.run)
        weights, layout = self.pointwise.weights, self.pointwise.layout
        if not fully_connected.is_measured(target, layout):
            return None
        size = size_of(weights, layout)
        kernel = functools.partial(fully_connected.sparse_instructions, target, layout, size)
        return depthwise_block.instructions(target, self.run, len(weights), kernel)


def packed_depthwise(op: Operator) -> PackedDepthwise:
    """Return such an operator.

    Raises:
        ModelError: the device would reject the blob, or the input is not an image.
    """
    blob = _checked_separable(op)
    pointwise = unpack_pointwise(blob)
    weights = None if pointwise is None else pointwise[0]
    return PackedDepthwise(unpack_depthwise(blob), weights, op.input(0).shape)


def packed_conv(op: Operator) -> tuple[UnpackedConv, tuple[int, ...]]:
    """Return a SPARSE_CONV_2D and the shape [batch, height, width, channels] of its input.

    Raises:
        ModelError: the device would reject the blob, the input is not an image, or the layer is
            paged.
    """
    _refuse_pages(op)
    blob, inputs = blob_of(op), op.inputs[0]
    problem = native.validate_sparse_conv(blob)
    if problem is not None or inputs is None or len(inputs.shape) != 4:
        raise ModelError(f"layer {layer_name(op)!r}: {problem or 'its input is no image'}")
    return unpack_conv(blob), inputs.shape


def blob_of(op: Operator) -> bytes:
    """Return the packed weights or the table of contents of a packed operator.

    Raises:
        ModelError: the operator has no such constant.
    """
    tensor = op.inputs[1] if len(op.inputs) > 1 else None
    if tensor is None or tensor.array is None or tensor.array.dtype != np.uint8:
        raise ModelError(f"layer {layer_name(op)!r}: {op.op_name} has no constant packed weights")
    return tensor.array.tobytes()


def options_of(op: Operator) -> FullyConnectedOptions:
    """Return the custom_options of a SPARSE_FULLY_CONNECTED.

    Raises:
        ModelError: the options are damaged.
    """
    try:
        return FullyConnectedOptions.from_bytes(op.custom_options or b"")
    except ValueError as error:
        raise ModelError(f"layer {layer_name(op)!r}: {error}") from None


def batch_of(op: Operator, cols: int) -> int:
    """Return the input vectors of one inference of a SPARSE_FULLY_CONNECTED."""
    if op.inputs[0] is None:
        return 0
    return options_of(op).windows(math.prod(op.inputs[0].shape), cols)


def matrix_shape(op: Operator, rows: int, cols: int) -> MatrixShape:
    """Return the shape of the dense operator that a SPARSE_FULLY_CONNECTED replaces.

    A packed layer on the pixels of an image replaces a 1x1 convolution, a packed layer on windows a
    convolution along one axis.
    """
    shape, taps, lines = op.input(0).shape, 0, 1
    if options_of(op).input_step:
        taps, lines = cols // shape[-1], math.prod(op.outputs[0].shape[:2])
    elif len(shape) == 4:
        taps = 1
    vectors, rank = batch_of(op, cols), len(op.outputs[0].shape)
    return MatrixShape(rows, cols, vectors, taps, parameter_bytes(rows), lines, rank)


def dense_instructions(op: Operator, unpacked: UnpackedWeights, target: str) -> int:
    """Return the instructions of the dense operator that a packed one replaces, on `target`."""
    shape = matrix_shape(op, *unpacked.weights.shape)
    return shape.dense_instructions(target, unpacked.weights.dtype.name)


@dataclass(frozen=True)
class PackedSummary:
    """The contents of a packed operator, and the dense operator that it replaced.

    Attributes:
        name: of the layer.
        op: the operator.
        rows, cols: output and input channels.
        batch: input vectors of one inference; output pixels of a sparse convolution, images of a
            separable one.
        weights: their number, zeros included.
        zeros: fraction of the weights.
        pattern: of a separable convolution its two kernels.
        index: the index encoding; of a separable convolution the order of weights.
        dense_bytes: weights, bias and quantization, as a file stores them.
        dense_instructions: of CMSIS-NN for one inference, measured or interpolated.
    """

    name: str
    op: str
    rows: int
    cols: int
    batch: int
    weights: int
    zeros: float
    pattern: str
    index: str
    dense_bytes: int
    dense_instructions: int


def summarize(op: Operator, target: str) -> PackedSummary | None:
    """Return the summary of a packed operator; None for other operators.

    Raises:
        ModelError: the layer is damaged, or a float32 SEPARABLE_CONV_2D, for which there is no
            dense figure to compare with.
    """
    if op.op_name in op_names.ALL and not (op.inputs and op.outputs):
        raise ModelError(f"layer {layer_name(op)!r}: {op.op_name} lacks its input or output")
    if op.op_name == op_names.SPARSE_FULLY_CONNECTED:
        return _summarize_fully_connected(op, target)
    if is_depthwise(op):
        return _summarize_depthwise(op, target)
    if op.op_name == op_names.SEPARABLE_CONV_2D:
        return _summarize_separable(op, target)
    return _summarize_conv(op, target) if op.op_name == op_names.SPARSE_CONV_2D else None


def _summarize_fully_connected(op: Operator, target: str) -> PackedSummary:
    unpacked = packed_weights(op)
    rows, cols = unpacked.weights.shape
    return PackedSummary(
        name=layer_name(op),
        op=op.op_name,
        rows=rows,
        cols=cols,
        batch=batch_of(op, cols),
        weights=unpacked.weights.size,
        zeros=float(1.0 - np.count_nonzero(unpacked.weights) / unpacked.weights.size),
        pattern=unpacked.layout.pattern,
        index=unpacked.layout.index,
        dense_bytes=unpacked.weights.nbytes
        + parameter_bytes(rows, is_float=unpacked.weights.dtype != np.int8),
        dense_instructions=dense_instructions(op, unpacked, target),
    )


def _summarize_separable(op: Operator, target: str) -> PackedSummary:
    conv, order, input_shape = packed_separable(op)
    stages = (conv.vertical, conv.horizontal)
    _check_integers(op, is_float=conv.vertical.is_float)
    weights = sum(stage.weights.size for stage in stages)
    nonzeros = sum(int(np.count_nonzero(stage.weights)) for stage in stages)
    return PackedSummary(
        name=layer_name(op),
        op=op.op_name,
        rows=conv.horizontal.units,
        cols=conv.vertical.channels,
        batch=input_shape[0],
        weights=weights,
        zeros=1.0 - nonzeros / weights,
        pattern=f"{conv.vertical.kernel}x1,1x{conv.horizontal.kernel}",
        index=order.name.lower(),
        dense_bytes=weights + sum(parameter_bytes(stage.units) for stage in stages),
        dense_instructions=separable_conv.dense_instructions(target, conv, input_shape),
    )


def _summarize_depthwise(op: Operator, target: str) -> PackedSummary:
    packed = packed_depthwise(op)
    layer, pointwise = packed.layer, packed.pointwise
    taps = layer.weights.weights
    weights, nonzeros = taps.size, int(np.count_nonzero(taps))
    rows, cols, channels = layer.units, taps.shape[1], layer.units
    pattern, index = "x".join(map(str, layer.window.kernel)), "depthwise"
    if pointwise is not None:
        weights += pointwise.weights.size
        nonzeros += int(np.count_nonzero(pointwise.weights))
        rows, cols = pointwise.weights.shape
        channels += rows
        pattern, index = pointwise.layout.pattern, pointwise.layout.index
    return PackedSummary(
        name=layer_name(op),
        op=op.op_name,
        rows=rows,
        cols=cols,
        batch=packed.pixels,
        weights=weights,
        zeros=1.0 - nonzeros / weights,
        pattern=pattern,
        index=index,
        dense_bytes=weights + parameter_bytes(channels),
        dense_instructions=packed.dense_instructions(target),
    )


def _summarize_conv(op: Operator, target: str) -> PackedSummary:
    conv, input_shape = packed_conv(op)
    weights, layout = conv.weights.weights, conv.weights.layout
    units = len(weights)
    return PackedSummary(
        name=layer_name(op),
        op=op.op_name,
        rows=units,
        cols=conv.window.cols,
        batch=math.prod(conv.window.output_shape(input_shape, units)[:3]),
        weights=weights.size,
        zeros=float(1.0 - np.count_nonzero(weights) / weights.size),
        pattern=layout.pattern,
        index=layout.index,
        dense_bytes=weights.nbytes + parameter_bytes(units, is_float=weights.dtype != np.int8),
        dense_instructions=replaced_instructions(op, conv, target),
    )


def replaced_instructions(op: Operator, conv: UnpackedConv, target: str) -> int:
    """Return the instructions of the CONV_2D that a SPARSE_CONV_2D replaces, and of its ADD."""
    weights, outputs = conv.weights.weights, op.outputs[0].shape
    dense = sparse_conv.dense_instructions(
        target, conv.window, op.input(0).shape, len(weights), weights.dtype.name
    )
    if conv.residual is None:
        return dense
    added = OtherOperator("ADD", (math.prod(outputs),))
    return dense + (other_operators.instructions(target, added) or 0)


def _check_integers(op: Operator, *, is_float: bool) -> None:
    if is_float:
        raise ModelError(
            f"layer {layer_name(op)!r}: float32 {op.op_name} has no dense kernel to compare with, "
            "accepted: int8"
        )
