"""A depthwise convolution, or one with a pointwise one, to a blob of SEPARABLE_CONV_2D, and back.

`kernels/include/sparsesep/depthwise_conv.h` specifies the blob.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.blob.depthwise_format import BOUNDED, HEADER, MAGIC, VERSION, Kind
from tflm_sparsesep.converters.blob.format import (
    ALIGNMENT,
    MAX_DIM,
    FullyConnectedOptions,
    Layout,
)
from tflm_sparsesep.converters.blob.pack import (
    FullyConnectedWeights,
    UnpackedWeights,
    pack,
    unpack,
)
from tflm_sparsesep.converters.blob.pack_sparse_conv import ConvWindow
from tflm_sparsesep.converters.blob.requantization import bounded_rows, fold_bias
from tflm_sparsesep.converters.blob.separable_format import Padding

_SECTIONS = ("bias", "multiplier", "shift", "weights")


@dataclass(frozen=True)
class DepthwiseLayer:
    """An int8 depthwise convolution.

    Attributes:
        window: the geometry.
        weights: the numbers; the weights are [units, taps], taps going down first. Unit
            c * multiplier + m reads channel c.
        options: zero points and activation limits; no step.

    Raises:
        ValueError: weights that do not fit the window, or too many units.
    """

    window: ConvWindow
    weights: FullyConnectedWeights
    options: FullyConnectedOptions

    def __post_init__(self) -> None:
        units, taps = self.weights.weights.shape
        if units % self.window.channels or taps != math.prod(self.window.kernel):
            raise ValueError(
                f"weights are {units}x{taps}, accepted: a multiple of {self.window.channels} "
                f"channels x {math.prod(self.window.kernel)} taps"
            )
        if units > MAX_DIM:
            raise ValueError(f"{units} units, the packed format holds {MAX_DIM}")

    @property
    def units(self) -> int:
        """Output channels."""
        return len(self.weights.weights)

    @property
    def multiplier(self) -> int:
        """Output channels of each input channel."""
        return self.units // self.window.channels

    def output_shape(self, inputs: tuple[int, ...]) -> tuple[int, int, int, int]:
        """Return [batch, height, width, units] for inputs [batch, height, width, channels]."""
        return self.window.output_shape(inputs, self.units)

    def is_bounded(self) -> bool:
        """Return True if FLAG_BOUNDED holds for every input."""
        layer = self.weights
        rows = bounded_rows(layer.weights, layer.bias, layer.shift, layer.input_zero_point)
        return bool(np.all(rows))


def to_taps(weights: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the kernel [1, height, width, units] as [units, taps], taps going down first."""
    taps: npt.NDArray[Any] = weights[0].transpose(2, 1, 0).reshape(weights.shape[3], -1)
    return taps


def pack_depthwise(layer: DepthwiseLayer) -> bytes:
    """Return the blob of a depthwise convolution."""
    header = _header(layer)
    return _with_sections(header, layer)


def packed_bytes(units: int, taps: int) -> int:
    """Return the size of the blob of `units` outputs of `taps` weights each."""
    # Bias and multiplier in words, shifts up to the next word, weights.
    return HEADER.itemsize + 4 * units + 4 * units + -(-units // 4) * 4 + units * taps


@dataclass(frozen=True)
class Pointwise:
    """The pointwise convolution of a block.

    Attributes:
        weights: int8 numbers [units, channels].
        options: zero points and activation limits; no step.
        layout: of the packed weights.
    """

    weights: FullyConnectedWeights
    options: FullyConnectedOptions
    layout: Layout


def pack_block(layer: DepthwiseLayer, pointwise: Pointwise) -> bytes:
    """Return the blob of a depthwise convolution and the pointwise one that follows it.

    Raises:
        ValueError: as `pack`; or the two do not fit each other.
    """
    channels, zero_point = pointwise.weights.weights.shape[1], pointwise.options.input_zero_point
    if channels != layer.units or zero_point != layer.options.output_zero_point:
        raise ValueError(
            f"the pointwise convolution takes {channels} channels with zero point {zero_point}, "
            f"the depthwise one gives {layer.units} with {layer.options.output_zero_point}"
        )
    header = _header(layer)
    header["kind"] = Kind.BLOCK
    for name in ("input_zero_point", "output_zero_point", "activation_min", "activation_max"):
        header["pointwise"][name] = getattr(pointwise.options, name)
    body = _with_sections(header, layer)
    header["pointwise_offset"] = start = -(-len(body) // ALIGNMENT) * ALIGNMENT
    weights = pack(pointwise.weights, pointwise.layout)
    header["bytes"] = start + len(weights)
    padded = body[HEADER.itemsize :].ljust(start - HEADER.itemsize, b"\0")
    return header.tobytes() + padded + weights


def pointwise_weights(blob: bytes) -> bytes | None:
    """Return the packed weights in a valid blob; None where it has no pointwise convolution."""
    start = int(np.frombuffer(blob, HEADER, 1)[0]["pointwise_offset"])
    return blob[start:] if start else None


def unpack_pointwise(blob: bytes) -> tuple[UnpackedWeights, FullyConnectedOptions] | None:
    """Return the pointwise convolution of a valid blob; None where it has none."""
    weights = pointwise_weights(blob)
    if weights is None:
        return None
    params = [int(value) for value in np.frombuffer(blob, HEADER, 1)[0]["pointwise"]]
    return unpack(weights), FullyConnectedOptions(*params)


def unpack_depthwise(blob: bytes) -> DepthwiseLayer:
    """Return the depthwise convolution of a blob that `native.validate_separable_conv` accepts."""
    header = np.frombuffer(blob, HEADER, 1)[0]
    at = {name: int(header[name]) for name in HEADER.names or () if HEADER[name].kind in "iu"}
    window = ConvWindow(
        (at["kernel_height"], at["kernel_width"]),
        at["channels"],
        (at["stride_height"], at["stride_width"]),
        (at["dilation_height"], at["dilation_width"]),
        Padding(at["padding"]),
    )
    units, taps = at["channels"] * at["multiplier"], math.prod(window.kernel)
    weights = np.frombuffer(blob, np.int8, units * taps, at["weights_offset"]).reshape(units, taps)
    sums = weights.sum(axis=1, dtype=np.int64)
    folded = np.frombuffer(blob, "<i4", units, at["bias_offset"])
    return DepthwiseLayer(
        window,
        FullyConnectedWeights(
            weights=weights,
            bias=(folded + at["input_zero_point"] * sums).astype(np.int32),
            multiplier=np.frombuffer(blob, "<i4", units, at["multiplier_offset"]),
            shift=np.frombuffer(blob, np.int8, units, at["shift_offset"]),
            input_zero_point=at["input_zero_point"],
        ),
        FullyConnectedOptions(
            at["input_zero_point"],
            at["output_zero_point"],
            at["activation_min"],
            at["activation_max"],
        ),
    )


def _header(layer: DepthwiseLayer) -> npt.NDArray[Any]:
    window, options = layer.window, layer.options
    header = np.zeros((), HEADER)
    header["magic"], header["version"], header["kind"] = MAGIC, VERSION, Kind.DEPTHWISE
    header["padding"] = window.padding
    header["flags"] = BOUNDED if layer.is_bounded() else 0
    pairs = {"kernel": window.kernel, "stride": window.strides, "dilation": window.dilations}
    for name, (height, width) in pairs.items():
        header[f"{name}_height"], header[f"{name}_width"] = height, width
    header["channels"], header["multiplier"] = window.channels, layer.multiplier
    for name in ("input_zero_point", "output_zero_point", "activation_min", "activation_max"):
        header[name] = getattr(options, name)
    return header


def _with_sections(header: npt.NDArray[Any], layer: DepthwiseLayer) -> bytes:
    numbers = layer.weights
    folded = fold_bias(numbers.weights, numbers.bias, numbers.input_zero_point)
    sections = (
        folded.astype("<i4"),
        numbers.multiplier.astype("<i4"),
        numbers.shift.astype(np.int8),
        numbers.weights.astype(np.int8),
    )
    body = bytearray(HEADER.itemsize)
    for name, data in zip(_SECTIONS, sections, strict=True):
        body.extend(bytes(-len(body) % 4))
        header[f"{name}_offset"] = len(body)
        body.extend(data.tobytes())
    header["bytes"] = len(body)
    body[: HEADER.itemsize] = header.tobytes()
    return bytes(body)
