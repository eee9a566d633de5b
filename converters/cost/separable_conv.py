"""Instructions and scratch of SEPARABLE_CONV_2D on a target, and of the pair that it replaces.

Instructions are a sum of terms. `data/separable_kernels.json` holds the coefficients, the command
that measures them again, and the error on shapes outside the fit. On `host`, costs are the
nanoseconds of the products in XNNPACK (`host`), because nothing was measured there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tflm_sparsesep.converters.blob.pack_separable import ConvStage, SeparableConv
from tflm_sparsesep.converters.blob.separable_format import Order
from tflm_sparsesep.converters.cost import conv_2d, host
from tflm_sparsesep.converters.cost.data import load

_FILE = "separable_kernels.json"


@dataclass(frozen=True)
class _Kernel:
    """A kernel of `kernels/separable_conv/`.

    Attributes:
        name: its variant.
        columns, units: columns and output channels that it multiplies at once.
        widens: it widens the inputs of both stages to 32 bits.
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
    """Return the int8 kernel that runs `order` on `target`, as its list of variants names it."""
    return _kernel(target, order).name


def dense_instructions(target: str, conv: SeparableConv, input_shape: tuple[int, ...]) -> int:
    """Return the instructions of the two CONV_2D that `conv` replaces, run by CMSIS-NN.

    `input_shape` is [batch, height, width, channels].
    """
    vertical, horizontal = conv.vertical, conv.horizontal
    batch, height, width, units = conv.output_shape(input_shape)
    intermediate = (batch, height, input_shape[2], vertical.units)
    down = (vertical.units, vertical.kernel, 1, vertical.channels)
    right = (units, 1, horizontal.kernel, horizontal.channels)
    if target == "host":  # as for the fused kernel, of which nothing else is known
        products = math.prod(down) * math.prod(intermediate[:3])
        return host.products_nanoseconds(products + math.prod(right) * batch * height * width)
    return conv_2d.dense_instructions(
        target, down, intermediate, strides=(vertical.stride, 1)
    ) + conv_2d.dense_instructions(
        target, right, (batch, height, width, units), strides=(1, horizontal.stride)
    )


def separable_terms(
    target: str, conv: SeparableConv, order: Order, input_shape: tuple[int, ...]
) -> dict[str, float]:
    """Return the terms of the int8 kernel's instructions, by the name of the coefficient."""
    batch, rows, width, _ = conv.output_shape(input_shape)
    rows *= batch
    columns, kernel = _image_columns(conv, input_shape), _kernel(target, order)
    positions = (columns, width)
    stages = (conv.vertical, conv.horizontal)
    steps = [-(-n // kernel.columns) for n in positions]
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
        "per_output": rows * sum(n * s.units for n, s in zip(positions, stages, strict=True)),
        "per_rest_output": rows * width * rest,
        "per_place": rows * sum(positions),
        "per_loaded_tap": rows * columns * conv.vertical.kernel,
        "per_loaded_input": rows * loaded,
    }


def is_measured(target: str, order: Order) -> bool:
    """Return True if a kernel of `target` reads `order`; WOVEN is for the DSP extension."""
    kernels = load(_FILE)["targets"]
    return target == "host" or order.name.lower() in kernels[target]


def fused_instructions(
    target: str, conv: SeparableConv, order: Order, input_shape: tuple[int, ...]
) -> int:
    """Return the instructions of the int8 kernel, for an `order` that `is_measured` on `target`."""
    terms = separable_terms(target, conv, order, input_shape)
    if target == "host":
        return host.products_nanoseconds(terms["per_mac"])
    kernels = load(_FILE)["targets"][target]
    coefficients: dict[str, float] = kernels[order.name.lower()]
    return round(sum(coefficients[name] * term for name, term in terms.items()))


def scratch_bytes(
    target: str, conv: SeparableConv, order: Order, input_shape: tuple[int, ...]
) -> int:
    """Return the scratch of the int8 kernel, as its `scratch_bytes` in C."""
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
    """Return the number of columns that the vertical stage computes: those that outputs read."""
    horizontal, size = conv.horizontal, input_shape[2]
    reach = (horizontal.output_size(size) - 1) * horizontal.stride + horizontal.kernel
    pad = max(0, reach - size) // 2
    return min(size, reach - pad)


def _macs(stage: ConvStage, order: Order) -> int:
    """Return the products of a stage at one position, padded weights included."""
    if order is Order.WOVEN:
        return -(-stage.units // 4) * 4 * stage.kernel * (stage.channels + stage.channels % 2)
    return stage.units * stage.kernel * stage.channels
