"""The operators of ours in a model, read for a benchmark: what is run, what it is compared with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tflm_sparsesep.converters import op_names
from tflm_sparsesep.converters.cost import separable_conv
from tflm_sparsesep.converters.errors import ModelError
from tflm_sparsesep.converters.inspect_model import (
    batch_of,
    blob_of,
    dense_instructions,
    options_of,
    packed_separable,
    packed_weights,
)
from tflm_sparsesep.converters.layers.quantized import layer_name, tensor_of
from tflm_sparsesep.converters.tflite.editor import Operator


@dataclass(frozen=True)
class PackedSummary:
    """What one operator of ours holds, and the dense operator that it replaced.

    `rows` are output units, `cols` input units, `batch` vectors per inference; of a separable
    convolution they are the channels that leave and enter it, and images, `pattern` its two
    kernels and `index` the order of its weights. `weights` counts them, zeros included; `zeros` is
    a fraction. Instructions are CMSIS-NN's, measured or interpolated, for one inference.
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


@dataclass(frozen=True)
class PackedLayer:
    """One operator of ours.

    Attributes:
        operator: as it stands in the model.
        options: its custom_options.
        blob: its packed weights.
        input_shape, output_shape: of one inference on the device.
        summary: what it holds.
    """

    operator: Operator
    options: bytes
    blob: bytes
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    summary: PackedSummary


def read_packed_layer(op: Operator, target: str) -> PackedLayer | None:
    """What is to be measured of `op`; None for operators that are not ours.

    Raises ModelError for a damaged layer, and for a float32 SEPARABLE_CONV_2D: CMSIS-NN has no
    dense float32 convolution that it could be compared with.
    """
    if op.op_name == op_names.SPARSE_FULLY_CONNECTED:
        return _fully_connected(op, target)
    if op.op_name == op_names.SEPARABLE_CONV_2D:
        return _separable_conv(op, target)
    return None


def _fully_connected(op: Operator, target: str) -> PackedLayer:
    unpacked = packed_weights(op)
    rows, cols = unpacked.weights.shape
    batch, options = batch_of(op, cols), options_of(op)
    return PackedLayer(
        operator=op,
        options=options.to_bytes(),
        blob=blob_of(op),
        input_shape=(batch, cols) if not options.input_step else tensor_of(op.inputs[0]).shape,
        output_shape=(batch, rows),
        summary=PackedSummary(
            name=layer_name(op),
            op=op.op_name,
            rows=rows,
            cols=cols,
            batch=batch,
            weights=unpacked.weights.size,
            zeros=float(1.0 - np.count_nonzero(unpacked.weights) / unpacked.weights.size),
            pattern=unpacked.layout.pattern,
            index=unpacked.layout.index,
            dense_bytes=unpacked.weights.nbytes + 4 * rows,
            dense_instructions=dense_instructions(op, unpacked, target),
        ),
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
        summary=PackedSummary(
            name=layer_name(op),
            op=op.op_name,
            rows=conv.horizontal.units,
            cols=conv.vertical.channels,
            batch=input_shape[0],
            weights=weights,
            zeros=1.0 - nonzeros / weights,
            pattern=f"{conv.vertical.kernel}x1,1x{conv.horizontal.kernel}",
            index=order.name.lower(),
            dense_bytes=weights + 4 * sum(stage.units for stage in stages),
            dense_instructions=separable_conv.dense_pair(target, conv, input_shape),
        ),
    )
