"""A d x 1 and a 1 x e convolution to the blob of SEPARABLE_CONV_2D, and back.

`kernels/include/sparsesep/separable_conv.h` specifies the blob.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.blob.format import ValueType
from tflm_sparsesep.converters.blob.requantization import bounded_rows
from tflm_sparsesep.converters.blob.separable_format import (
    HEADER,
    MAGIC,
    MAX_CHANNELS,
    MAX_KERNEL,
    STAGE_BOUNDED,
    VERSION,
    Order,
    Padding,
)
from tflm_sparsesep.converters.blob.value_streams import WOVEN_BOUND
from tflm_sparsesep.converters.targets import get_target


@dataclass(frozen=True)
class ConvStage:
    """One of the two convolutions.

    Attributes:
        weights: [units, kernel, channels], int8 or float32.
        bias: int32[units] (not folded) or float32[units].
        multiplier: int32[units] in Q0.31; empty for float32.
        shift: int8[units]; empty for float32.
        stride: along the kernel.
        padding: along the kernel.
        activation_min, activation_max: limits of the output; for float32 the int32 of their bits.
        input_zero_point, output_zero_point: 0 for float32.
    """

    weights: npt.NDArray[Any]
    bias: npt.NDArray[Any]
    multiplier: npt.NDArray[np.int32]
    shift: npt.NDArray[np.int8]
    stride: int
    padding: Padding
    activation_min: int
    activation_max: int
    input_zero_point: int = 0
    output_zero_point: int = 0

    @property
    def units(self) -> int:
        """Output channels."""
        return int(self.weights.shape[0])

    @property
    def kernel(self) -> int:
        """Taps along the kernel."""
        return int(self.weights.shape[1])

    @property
    def channels(self) -> int:
        """Input channels."""
        return int(self.weights.shape[2])

    @property
    def is_float(self) -> bool:
        """True for float32, False for int8."""
        return bool(self.weights.dtype == np.float32)

    def output_size(self, size: int) -> int:
        """Return the number of outputs along the kernel for `size` inputs, as in TFLite."""
        if self.padding is Padding.SAME:
            return -(-size // self.stride)
        return max(0, (size - self.kernel) // self.stride + 1)

    def folded_bias(self) -> npt.NDArray[np.int64]:
        """Return bias - input_zero_point * sum(weights of a row), before it wraps to 32 bits."""
        sums = self.weights.sum(axis=(1, 2), dtype=np.int64)
        folded: npt.NDArray[np.int64] = self.bias.astype(np.int64) - self.input_zero_point * sums
        return folded

    def is_bounded(self) -> bool:
        """Return True if SPARSESEP_STAGE_BOUNDED holds for every input."""
        return bool(np.all(bounded_rows(self.folded_bias(), self._magnitudes(), self.shift)))

    def fits_weave(self) -> bool:
        """Return True if rows can be interleaved, and their sums can be separated."""
        if self.is_float or np.any(128 * self._magnitudes() >= WOVEN_BOUND):
            return False
        return bool(np.all(np.abs(_woven_values(self.weights)) < 1 << 15))

    def _magnitudes(self) -> npt.NDArray[np.int64]:
        sums: npt.NDArray[np.int64] = np.abs(self.weights.astype(np.int64)).sum(axis=(1, 2))
        return sums


@dataclass(frozen=True)
class SeparableConv:
    """A vertical stage, kernel x 1, and the horizontal stage, 1 x kernel, that reads its output."""

    vertical: ConvStage
    horizontal: ConvStage

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, int, int, int]:
        """Return the shape of the output for an input [batch, height, width, channels]."""
        batch, height, width, _ = input_shape
        return (
            batch,
            self.vertical.output_size(height),
            self.horizontal.output_size(width),
            self.horizontal.units,
        )


def order_for(conv: SeparableConv, target: str) -> Order:
    """Return the order of weights that the fastest kernel of `target` reads.

    Weights that are too large to be interleaved keep the natural order, which every target runs.
    """
    fits = conv.vertical.fits_weave() and conv.horizontal.fits_weave()
    return Order.WOVEN if fits and get_target(target).isa == "dsp" else Order.NATURAL


def pack(conv: SeparableConv, order: Order = Order.NATURAL) -> bytes:
    """Return the blob of `conv`.

    Raises:
        ValueError: the stages do not fit each other, or the format cannot store them: too many
            channels, a kernel or stride that is too large, or weights that cannot be interleaved.
    """
    vertical, horizontal = conv.vertical, conv.horizontal
    _check(conv, order)
    header = np.zeros((), HEADER)
    header["magic"], header["version"] = MAGIC, VERSION
    header["value_type"] = ValueType.FLOAT32 if vertical.is_float else ValueType.INT8
    header["order"] = order
    header["input_zero_point"] = vertical.input_zero_point
    header["middle_zero_point"] = vertical.output_zero_point
    header["output_zero_point"] = horizontal.output_zero_point
    header["input_channels"] = vertical.channels
    header["middle_channels"] = vertical.units
    header["output_channels"] = horizontal.units
    body = bytearray(HEADER.itemsize)
    for name, stage in (("vertical", vertical), ("horizontal", horizontal)):
        fields = header[name]
        fields["kernel"], fields["stride"] = stage.kernel, stage.stride
        fields["padding"] = stage.padding
        fields["flags"] = 0 if stage.is_float or not stage.is_bounded() else STAGE_BOUNDED
        fields["activation_min"] = stage.activation_min
        fields["activation_max"] = stage.activation_max
        for section, data in _sections(stage, order).items():
            body.extend(bytes(-len(body) % 4))
            fields[f"{section}_offset"] = len(body)
            body.extend(data)
    header["bytes"] = len(body)
    body[: HEADER.itemsize] = header.tobytes()
    return bytes(body)


def weave(weights: npt.NDArray[np.int8]) -> bytes:
    """Return `weights` [units, kernel, channels] in `Order.WOVEN`.

    Rows 2n and 2n + 1 share each int16 as a + 256 * b. The channels of a row are taken in pairs:
    (0, 2) and (1, 3) of each four, and (0, 1) of the remainder.
    """
    units, kernel, channels = weights.shape
    padded = np.pad(weights, ((0, -units % 4), (0, 0), (0, channels % 2)))
    values = _woven_values(padded[:, :, _channel_order(channels)])  # [units / 2, kernel, channels]
    groups = values.reshape(len(values) // 2, 2, kernel, -1, 2)
    return groups.transpose(0, 2, 3, 1, 4).astype("<i2").tobytes()


def unweave(data: bytes, shape: tuple[int, int, int]) -> npt.NDArray[np.int8]:
    """Return the weights of `shape` [units, kernel, channels], the inverse of `weave`."""
    units, kernel, channels = shape
    groups = np.frombuffer(data, "<i2").reshape(-(-units // 4), kernel, -1, 2, 2)
    values = groups.transpose(0, 3, 1, 2, 4).reshape(-1, kernel, channels + channels % 2)
    low = values.astype(np.int8)
    high = ((values.astype(np.int32) - low) >> 8).astype(np.int8)
    ordered = np.stack([low, high], axis=1).reshape(-1, kernel, values.shape[2])
    weights = np.zeros_like(ordered)
    weights[:, :, _channel_order(channels)] = ordered
    return weights[:units, :, :channels]


def read_order(blob: bytes) -> Order:
    """Return the order of the weights in a valid blob."""
    return Order(int(np.frombuffer(blob, HEADER, 1)[0]["order"]))


def unpack(blob: bytes) -> SeparableConv:
    """Return the contents of a blob that `native.validate_separable_conv` accepts."""
    header = np.frombuffer(blob, HEADER, 1)[0]
    channels = [int(header[f"{name}_channels"]) for name in ("input", "middle", "output")]
    points = [int(header[f"{name}_zero_point"]) for name in ("input", "middle", "output")]
    stages = [
        _unpack_stage(blob, header, name, channels[n : n + 2], points[n : n + 2])
        for n, name in enumerate(("vertical", "horizontal"))
    ]
    return SeparableConv(*stages)


def _unpack_stage(
    blob: bytes, header: np.void, name: str, channels: list[int], zero_points: list[int]
) -> ConvStage:
    fields = header[name]
    at = {key: int(fields[key]) for key in fields.dtype.names or ()}
    shape = (channels[1], at["kernel"], channels[0])
    is_float = header["value_type"] == ValueType.FLOAT32
    scaled = 0 if is_float else channels[1]
    count = math.prod(shape)
    start = at["weights_offset"]
    if header["order"] == Order.WOVEN:
        count = -(-shape[0] // 4) * 4 * shape[1] * (shape[2] + shape[2] % 2)
        weights = unweave(blob[start : start + count], shape)
    else:
        dtype = "<f4" if is_float else "i1"
        weights = np.frombuffer(blob, dtype, count, start).reshape(shape)
    bias = np.frombuffer(blob, "<f4" if is_float else "<i4", channels[1], at["bias_offset"])
    if not is_float:
        sums = weights.sum(axis=(1, 2), dtype=np.int64)
        bias = (bias + zero_points[0] * sums).astype(np.int32)
    return ConvStage(
        weights=weights,
        bias=bias,
        multiplier=np.frombuffer(blob, "<i4", scaled, at["multiplier_offset"]),
        shift=np.frombuffer(blob, np.int8, scaled, at["shift_offset"]),
        stride=at["stride"],
        padding=Padding(at["padding"]),
        activation_min=at["activation_min"],
        activation_max=at["activation_max"],
        input_zero_point=zero_points[0],
        output_zero_point=zero_points[1],
    )


def _channel_order(channels: int) -> list[int]:
    """Return the order of channels in interleaved weights, an odd number padded to even."""
    whole = channels // 4 * 4
    order = [four + n for four in range(0, whole, 4) for n in (0, 2, 1, 3)]
    return order + list(range(whole, channels + channels % 2))


def _woven_values(weights: npt.NDArray[np.int8]) -> npt.NDArray[np.int32]:
    wide = np.pad(weights, ((0, len(weights) % 2), (0, 0), (0, 0))).astype(np.int32)
    values: npt.NDArray[np.int32] = wide[0::2] + 256 * wide[1::2]
    return values


def _sections(stage: ConvStage, order: Order) -> dict[str, bytes]:
    """Return the sections of a stage by name, each padded to a multiple of four rows."""
    missing = -stage.units % 4
    if stage.is_float:
        bias = np.pad(stage.bias.astype("<f4"), (0, missing))
        weights = stage.weights.astype("<f4").tobytes()
        return {"bias": bias.tobytes(), "multiplier": b"", "shift": b"", "weights": weights}
    return {
        "bias": np.pad(stage.folded_bias().astype("<i4"), (0, missing)).tobytes(),
        "multiplier": np.pad(stage.multiplier.astype("<i4"), (0, missing)).tobytes(),
        "shift": np.pad(stage.shift.astype(np.int8), (0, missing), constant_values=-1).tobytes(),
        "weights": weave(stage.weights) if order is Order.WOVEN else stage.weights.tobytes(),
    }


def _check(conv: SeparableConv, order: Order) -> None:
    vertical, horizontal = conv.vertical, conv.horizontal
    kinds = [str(stage.weights.dtype) for stage in (vertical, horizontal)]
    if kinds not in (["int8", "int8"], ["float32", "float32"]):
        raise ValueError(f"weights are {kinds[0]} and {kinds[1]}, accepted: both int8 or float32")
    channels = (vertical.channels, vertical.units, horizontal.units)
    if min(channels) < 1 or max(channels) > MAX_CHANNELS:
        raise ValueError(f"channels are {channels}, accepted: 1..{MAX_CHANNELS} each")
    for stage in (vertical, horizontal):
        kernel = stage.kernel
        if not (1 <= kernel <= MAX_KERNEL and 1 <= stage.stride <= MAX_KERNEL):
            raise ValueError(
                f"kernel is {kernel} and stride {stage.stride}, accepted: 1..{MAX_KERNEL} each"
            )
    if horizontal.channels != channels[1]:
        raise ValueError(
            f"the vertical stage gives {channels[1]} channels, the horizontal one takes "
            f"{horizontal.channels}"
        )
    if vertical.output_zero_point != horizontal.input_zero_point:
        raise ValueError(
            f"zero points of the intermediate feature map are {vertical.output_zero_point} and "
            f"{horizontal.input_zero_point}, accepted: one for both"
        )
    if order is Order.WOVEN and not (vertical.fits_weave() and horizontal.fits_weave()):
        raise ValueError("weights cannot be interleaved: see ConvStage.fits_weave")
