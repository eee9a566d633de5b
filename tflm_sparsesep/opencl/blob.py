"""Convert packed blobs to layers of real numbers, and back.

    real weight = weight scale of the row * q       real bias = input scale * weight scale * q

A blob holds no scales but a multiplier for each row, input scale * weight scale / output scale.
The scales of input and output are in the model's tensors; the weights' scale follows from them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters import native
from tflm_sparsesep.converters.blob import index_streams, value_streams
from tflm_sparsesep.converters.blob.format import (
    FLAG_BIAS_FOLDED,
    FullyConnectedOptions,
    Layout,
    Major,
    ValueOrder,
    ValueType,
)
from tflm_sparsesep.converters.blob.layouts import LAYOUTS
from tflm_sparsesep.converters.blob.pack import (
    FloatWeights,
    FullyConnectedWeights,
    group_counts,
    layout_of,
    pack,
    read_header,
)
from tflm_sparsesep.converters.blob.requantization import requantization
from tflm_sparsesep.converters.errors import ConfigError, ModelError
from tflm_sparsesep.opencl.sparse_layer import SparseLayer

_MAX = 127
# A quantized bias stays below this: it initializes the accumulator that adds the products.
_MAX_BIAS = 1 << 29
# For a row without weights, its bias is a multiple of 1/256 of the output's scale.
_STEPS_WITHOUT_WEIGHTS = 256
# See value_streams.fits_weave: 256 times the sum of a row's weights is less than 2^23.
_MAX_WOVEN_SUM = (1 << 15) - 1


@dataclass(frozen=True)
class Deployment:
    """Properties of a blob that training does not change.

    Attributes:
        layout: of the weights.
        options: zero points and limits.
        input_scale: of the tensor that an int8 layer reads; None for a float32 layer.
        output_scale: of the tensor that an int8 layer writes; None for a float32 layer.
    """

    layout: Layout
    options: FullyConnectedOptions
    input_scale: float | None = None
    output_scale: float | None = None

    @property
    def is_float(self) -> bool:
        """True if weights and activations are float32."""
        return self.layout.value_type is ValueType.FLOAT32

    @property
    def limits(self) -> tuple[float, float]:
        """Limits of outputs: those of the activation and of int8."""
        numbers = (self.options.activation_min, self.options.activation_max)
        if self.is_float:
            low, high = np.array(numbers, np.int32).view(np.float32).tolist()
        else:
            _, scale = self.scales
            low, high = (scale * (n - self.options.output_zero_point) for n in numbers)
        return low, high

    @property
    def scales(self) -> tuple[float, float]:
        """Scales of input and output.

        Raises:
            ConfigError: they are missing.
        """
        found = (self.input_scale, self.output_scale)
        if not all(scale is not None and 0 < scale < np.inf for scale in found):
            raise ConfigError(
                f"input_scale={self.input_scale}, output_scale={self.output_scale}; "
                "accepted for an int8 blob: the scales of the layer's input and output tensors"
            )
        return float(found[0] or 0), float(found[1] or 0)


def read_blob(
    blob: bytes,
    options: FullyConnectedOptions,
    *,
    input_scale: float | None = None,
    output_scale: float | None = None,
) -> tuple[SparseLayer, Deployment]:
    """Read a blob as a layer of real numbers, without making it dense.

    Args:
        blob: packed weights.
        options: those of the operator.
        input_scale: of the layer's input tensor, for int8 blobs.
        output_scale: of the layer's output tensor, for int8 blobs.

    Returns:
        The layer, and what `write_blob` needs besides it.

    Raises:
        ModelError: a device would refuse the blob.
        ConfigError: a scale is missing.
    """
    reason = native.validate(blob)
    if reason is not None:
        raise ModelError(f"packed weights of {len(blob)} bytes: {reason}")
    header = read_header(blob)
    deployment = Deployment(layout_of(header), options, input_scale, output_scale)
    shape = (int(header["rows"]), int(header["cols"]))
    tile_rows, tile_cols, values = _stored_blocks(blob)
    # Blocks that only pad the streams are dropped.
    kept = values.any(axis=(1, 2))
    dtype = "<f4" if deployment.is_float else "<i4"
    bias = np.frombuffer(blob, dtype, shape[0], int(header["bias_offset"]))
    layer = SparseLayer.from_blocks(
        shape, tile_rows[kept], tile_cols[kept], values[kept], bias, deployment.limits
    )
    if not deployment.is_float:
        layer = _dequantize(layer, header, blob, bias, deployment)
    return layer, deployment


def write_blob(layer: SparseLayer, deployment: Deployment) -> tuple[bytes, Deployment]:
    """Write a trained layer as a blob of the same layout, with the deployment of that blob.

    After training, weights no longer share the values of a palette: such a blob then holds int8.
    """
    layout = deployment.layout
    if layout.value_type is ValueType.PALETTE4:
        deployment = replace(deployment, layout=_of_int8(layout))
    if deployment.is_float:
        return pack(FloatWeights(layer.to_dense(), layer.bias), layout), deployment
    return pack(_quantize(layer, deployment), deployment.layout), deployment


def _of_int8(layout: Layout) -> Layout:
    """Return the layout that differs from `layout` only in the type of its values."""
    alike = replace(layout, value_type=ValueType.INT8)
    return next(x for x in LAYOUTS if replace(x, count_multiple=layout.count_multiple) == alike)


def _stored_blocks(
    blob: bytes,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[Any]]:
    """Return tile rows, tile columns and values of every stored block."""
    header = read_header(blob)
    layout = layout_of(header)
    height = -(-int(header["rows"]) // layout.block_rows)
    width = -(-int(header["cols"]) // layout.block_cols)
    per_group = width if layout.major is Major.ROW else height
    counts = group_counts(blob)
    stream = blob[int(header["index_offset"]) :]
    tiles = np.concatenate(list(index_streams.decode(stream, counts, per_group, layout)))
    stream, palette = blob[int(header["value_offset"]) :], blob[int(header["palette_offset"]) :]
    values = value_streams.decode(stream, counts, layout, palette)
    groups = np.repeat(np.arange(len(counts)), counts)
    if layout.value_type is ValueType.PALETTE4:
        values = _without_fillers(groups * per_group + tiles, values)
    in_order = (groups, tiles) if layout.major is Major.ROW else (tiles, groups)
    return *in_order, values


def _without_fillers(places: npt.NDArray[np.int64], values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Replace two values at one index that cancel out by 0: they only pad the index."""
    flat = values.reshape(-1)
    second = index_streams.repeats(places) & (flat == -np.roll(flat, 1))
    filler = second | np.roll(second, -1)
    return np.where(filler, 0, flat).astype(values.dtype).reshape(values.shape)


def _dequantize(
    layer: SparseLayer,
    header: np.void,
    blob: bytes,
    bias: npt.NDArray[np.int32],
    deployment: Deployment,
) -> SparseLayer:
    """Return `layer`, whose values are int8 numbers, with real values."""
    input_scale, output_scale = deployment.scales
    multiplier = np.frombuffer(blob, "<i4", layer.rows, int(header["multiplier_offset"]))
    shift = np.frombuffer(blob, np.int8, layer.rows, int(header["shift_offset"]))
    scale = np.ldexp(multiplier.astype(np.float64), shift.astype(int) - 31)
    scale *= output_scale / input_scale
    if int(header["flags"]) & FLAG_BIAS_FOLDED:
        sums = layer.row_sums(layer.values.astype(np.int64))
        bias = bias.astype(np.int64) + deployment.options.input_zero_point * sums
    padded = np.pad(scale, (0, layer.grid[0] * layer.block[0] - layer.rows))
    return replace(
        layer,
        values=(layer.values * padded[layer.rows_of_values()]).astype(np.float32),
        bias=(bias.astype(np.int32) * (input_scale * scale)).astype(np.float32),
    )


def _quantize(layer: SparseLayer, deployment: Deployment) -> FullyConnectedWeights:
    """Return the layer's int8 numbers, dense, for the packer."""
    input_scale, output_scale = deployment.scales
    scale = _weight_scales(layer, deployment)
    padded = np.pad(scale, (0, layer.grid[0] * layer.block[0] - layer.rows), constant_values=1)
    quantized = np.rint(layer.values / padded[layer.rows_of_values()]).clip(-_MAX, _MAX)
    try:
        multiplier, shift = requantization(
            input_scale,
            scale.astype(np.float32),
            output_scale,
            rows=layer.rows,
        )
    except ValueError as error:
        raise ModelError(f"trained weights of {layer.rows}x{layer.cols}: {error}") from None
    return FullyConnectedWeights(
        weights=replace(layer, values=quantized.astype(np.int8)).to_dense().astype(np.int8),
        bias=np.rint(layer.bias / (input_scale * scale)).astype(np.int32),
        multiplier=multiplier,
        shift=shift,
        input_zero_point=deployment.options.input_zero_point,
    )


def _weight_scales(layer: SparseLayer, deployment: Deployment) -> npt.NDArray[np.float64]:
    """Return a scale per row: the largest weight is 127 unless bias or interleaving need more."""
    input_scale, output_scale = deployment.scales
    sizes = np.abs(layer.values)
    scale = layer.row_maxima(sizes).astype(np.float64) / _MAX
    if deployment.layout.value_order is ValueOrder.WOVEN:
        # Rounding adds at most 1/2 per weight.
        room = _MAX_WOVEN_SUM - layer.row_sums(np.ones_like(sizes)) / 2
        scale = np.maximum(scale, layer.row_sums(sizes) / room)
    scale = np.maximum(scale, np.abs(layer.bias) / (input_scale * _MAX_BIAS))
    return np.where(
        layer.row_maxima(sizes) > 0, scale, output_scale / (input_scale * _STEPS_WITHOUT_WEIGHTS)
    )
