"""Executed instructions and scratch of convolutions on a target: dense (CMSIS-NN) against ours.

Both are sums of terms with coefficients fitted by least squares of the relative error. Dense ones
are fitted here to measured counts (`cost_data/dense_conv_cmsis_nn.json`; at most 6% off on any
shape in it). Those of SEPARABLE_CONV_2D are in `cost_data/separable_kernels.json`, which names the
command that measures them again and how well they predict shapes outside the fit. On `host`
nothing is measured: both are the nanoseconds of so many products by XNNPACK (`host_cost`).
"""

from __future__ import annotations

import functools
import importlib.resources
import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters import host_cost
from tflm_sparsesep.converters.pack_separable import ConvStage, SeparableConv
from tflm_sparsesep.converters.separable_format import Order


@dataclass(frozen=True)
class _Kernel:
    """A kernel of `kernels/separable_conv/`.

    name: of its variant. columns, units: that it multiplies at once. widens: both stages' inputs
    are widened to 32 bits.
    """

    name: str
    columns: int
    units: int
    widens: bool = False


_WOVEN = _Kernel("int8_woven_dsp", columns=2, units=4)
_NATURAL = {
    "host": _Kernel("int8_scalar", columns=2, units=2),
    "cortex-m0": _Kernel("int8_v6m", columns=4, units=1, widens=True),
    "cortex-m55": _Kernel("int8_mve", columns=2, units=2),
}
_NATURAL_ELSEWHERE = _Kernel("int8_v7m", columns=4, units=1, widens=True)


def _kernel(target: str, order: Order) -> _Kernel:
    return _WOVEN if order is Order.WOVEN else _NATURAL.get(target, _NATURAL_ELSEWHERE)


def variant_name(target: str, order: Order) -> str:
    """The int8 kernel that runs an order on a target, a name of its list in `kernels/variants/`."""
    return _kernel(target, order).name


@functools.cache
def _data(name: str) -> dict[str, Any]:
    text = importlib.resources.files(__package__).joinpath("cost_data", name).read_text()
    data: dict[str, Any] = json.loads(text)
    return data


def _dense_terms(
    pixels: int, units: int, taps: int, channels: int
) -> tuple[float, float, float, float, float]:
    """Products, copied inputs, copied runs of inputs, outputs, pixels."""
    macs = pixels * units * taps * channels
    return macs, pixels * taps * channels, pixels * taps, pixels * units, pixels


@functools.cache
def _dense_coefficients(target: str) -> npt.NDArray[np.float64]:
    data = _data("dense_conv_cmsis_nn.json")
    terms = []
    for height, width, channels, units, *kernel, down, right, valid in data["shapes"]:
        less = [taps - 1 if valid else 0 for taps in kernel]
        pixels = math.ceil((height - less[0]) / down) * math.ceil((width - less[1]) / right)
        terms.append(_dense_terms(pixels, units, math.prod(kernel), channels))
    counts = np.array(data["targets"][target], np.float64)
    relative = np.array(terms, np.float64) / counts[:, None]
    scale = relative.max(axis=0)
    solution, *_ = np.linalg.lstsq(relative / scale, np.ones_like(counts), rcond=None)
    coefficients: npt.NDArray[np.float64] = solution / scale
    return coefficients


def dense_conv(target: str, weights_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> int:
    """Instructions of CMSIS-NN's int8 CONV_2D.

    `weights_shape` is [units, height, width, channels], `output_shape` [batch, height, width,
    units].
    """
    units, height, width, channels = weights_shape
    terms = _dense_terms(math.prod(output_shape[:3]), units, height * width, channels)
    if target == "host":
        return host_cost.multiply_accumulates(terms[0])
    return round(float(np.dot(_dense_coefficients(target), terms)))


def measured_dense_conv(
    target: str, input_shape: tuple[int, ...], weights_shape: tuple[int, ...], stride: int
) -> int:
    """Instructions of a CONV_2D that was measured. Raises KeyError for others.

    Padding does not tell apart two entries of the table.
    """
    data = _data("dense_conv_cmsis_nn.json")
    units, *kernel, channels = weights_shape
    wanted = [*input_shape[1:3], channels, units, *kernel, stride, stride]
    for fields, count in zip(data["shapes"], data["targets"][target], strict=True):
        if fields[:-1] == wanted:
            return int(count)
    raise KeyError(f"no CONV_2D of {wanted} was measured")


def dense_pair(target: str, conv: SeparableConv, input_shape: tuple[int, ...]) -> int:
    """Instructions of CMSIS-NN's two CONV_2D that a separable convolution stands for."""
    vertical, horizontal = conv.vertical, conv.horizontal
    batch, height, width, units = conv.output_shape(input_shape)
    between = (batch, height, input_shape[2], vertical.units)
    down = (vertical.units, vertical.kernel, 1, vertical.channels)
    right = (units, 1, horizontal.kernel, horizontal.channels)
    return dense_conv(target, down, between) + dense_conv(
        target, right, (batch, height, width, units)
    )


def separable_terms(
    target: str, conv: SeparableConv, order: Order, input_shape: tuple[int, ...]
) -> dict[str, float]:
    """What the kernels' instructions are made of, by the name of the coefficient."""
    batch, rows, width, _ = conv.output_shape(input_shape)
    rows *= batch
    columns, kernel = _image_columns(conv, input_shape), _kernel(target, order)
    places = (columns, width)
    stages = (conv.vertical, conv.horizontal)
    steps = [-(-n // kernel.columns) for n in places]
    groups = [-(-stage.units // kernel.units) for stage in stages]
    taps = [stage.kernel * stage.channels for stage in stages]
    loaded = columns * taps[0] + (width * taps[1] if kernel.widens else 0)
    rest = conv.horizontal.units % 4
    macs = sum(n * _macs(stage, order) for n, stage in zip(steps, stages, strict=True))
    return {
        "per_call": 1.0,
        "per_row": rows,
        "per_step": rows * sum(steps),
        "per_step_and_group": rows * sum(n * g for n, g in zip(steps, groups, strict=True)),
        "per_mac": rows * kernel.columns * macs,
        "per_output": rows * sum(n * s.units for n, s in zip(places, stages, strict=True)),
        "per_rest_output": rows * width * rest,
        "per_place": rows * sum(places),
        "per_loaded_tap": rows * columns * conv.vertical.kernel,
        "per_loaded_input": rows * loaded,
    }


def is_measured(target: str, order: Order) -> bool:
    """Whether a kernel of the target reads the order: woven weights are for the DSP extension."""
    kernels = _data("separable_kernels.json")["targets"]
    return target == "host" or order.name.lower() in kernels[target]


def separable_conv(
    target: str, conv: SeparableConv, order: Order, input_shape: tuple[int, ...]
) -> int:
    """Instructions of our int8 kernel for an order that `is_measured` on the target."""
    terms = separable_terms(target, conv, order, input_shape)
    if target == "host":
        return host_cost.multiply_accumulates(terms["per_mac"])
    kernels = _data("separable_kernels.json")["targets"][target]
    coefficients: dict[str, float] = kernels[order.name.lower()]
    return round(sum(coefficients[name] * term for name, term in terms.items()))


def scratch_bytes(
    target: str, conv: SeparableConv, order: Order, input_shape: tuple[int, ...]
) -> int:
    """Scratch of the int8 kernel that a device runs (`scratch_bytes` in C)."""
    vertical, horizontal = conv.vertical, conv.horizontal
    units, channels = vertical.units, vertical.channels
    width = conv.output_shape(input_shape)[2]
    columns = (width - 1) * horizontal.stride + horizontal.kernel
    most = -(-max(units, horizontal.units) // 4) * 4
    if order is Order.WOVEN:
        words = vertical.kernel * (channels + channels % 2) + columns * (units + units % 2)
        return 4 * (2 * most + words) + most
    if _kernel(target, order).widens:
        taps = max(vertical.kernel * channels, horizontal.kernel * units)
        return 16 * (most + taps) + columns * units
    return 8 * most + 2 * vertical.kernel * channels + columns * units


def _image_columns(conv: SeparableConv, input_shape: tuple[int, ...]) -> int:
    """Columns that the vertical stage computes: those that an output looks at."""
    horizontal, size = conv.horizontal, input_shape[2]
    reach = (horizontal.output_size(size) - 1) * horizontal.stride + horizontal.kernel
    pad = max(0, reach - size) // 2
    return min(size, reach - pad)


def _macs(stage: ConvStage, order: Order) -> int:
    """Products of a stage at one place, as stored."""
    if order is Order.WOVEN:
        return -(-stage.units // 4) * 4 * stage.kernel * (stage.channels + stage.channels % 2)
    return stage.units * stage.kernel * stage.channels
