"""From which zeros, or up to which rank, a layer gets both smaller and faster on a target.

Forms of a layer are weighed by shapes alone, with the packer's exact sizes and the cost model; the
blocks that stay are random ones.

- sparse: SPARSE_FULLY_CONNECTED in blocks of a pattern. Column-major and palette layouts are left
  out: they pay by zero inputs, and by weights of few values.
- low rank (SVD): rows x cols as rows x k behind k x cols, two dense layers with biases.
- separated: a d x e convolution C -> N as d x 1, C -> K, and 1 x e, K -> N: SEPARABLE_CONV_2D.

Bytes are weights, biases and requantisation as stored; instructions are those of one inference.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.blob.format import Layout, Major, ValueOrder, ValueType
from tflm_sparsesep.converters.blob.layouts import layouts_for
from tflm_sparsesep.converters.blob.pack_separable import ConvStage, SeparableConv, order_for, pack
from tflm_sparsesep.converters.blob.separable_format import Padding
from tflm_sparsesep.converters.blob.size import packed_size
from tflm_sparsesep.converters.cost import fully_connected, separable_conv

ZERO_STEPS = 200
"""Shares of zeros are multiples of 1 / ZERO_STEPS."""
MOST_ZEROS = 0.99

_BIAS_BYTES = 4
_SEED = 0
# Of an int8 weight, on average: a bell curve of which the largest is 127.
_MAGNITUDE = 32
# Rows of woven blocks add up to less than this, inputs being up to 128 (`fits_weave`).
_WOVEN_BOUND = (1 << 23) // 128


@dataclass(frozen=True)
class Form:
    """One way to store and run a layer.

    Attributes:
        bytes, instructions: see the module.
        pattern: blocks of a sparse layer, such as "4x4"; None for others.
        zeros: share of its weights that are zero.
        rank: of two dense layers.
        channels: between the stages of a separated convolution.
    """

    bytes: int
    instructions: int
    pattern: str | None = None
    zeros: float | None = None
    rank: int | None = None
    channels: int | None = None

    def __str__(self) -> str:
        if self.pattern is not None:
            return f"{self.pattern}, {self.zeros:.1%} zeros"
        if self.channels is not None:
            return f"separated, K = {self.channels}"
        return "dense" if self.rank is None else f"two layers, rank {self.rank}"


@dataclass(frozen=True)
class MatrixShape:
    """A layer that multiplies vectors of `cols` inputs by a matrix of `rows` outputs.

    Attributes:
        vectors: of one inference: the batch, or the windows of a convolution.
        taps: of a convolution, 1x1 or along one axis, whose windows are the vectors; 0 for
            fully-connected layers.
        bias_bytes: of the dense layer.
    """

    rows: int
    cols: int
    vectors: int = 1
    taps: int = 0
    bias_bytes: int = 0

    def __str__(self) -> str:
        taps = f"1x{self.taps} " if self.taps else ""
        times = f" x{self.vectors}" if self.vectors > 1 else ""
        return f"{taps}{self.cols // max(self.taps, 1)}->{self.rows}{times}"

    def dense(self, target: str) -> Form:
        """As it is, in int8."""
        return Form(self.rows * self.cols + self.bias_bytes, self._instructions(target))

    def sparse(self, target: str, pattern: str, zeros: float) -> Form | None:
        """With a share of its blocks zero, in the best layout of the pattern.

        That is the one of the least bytes times instructions, of those that win if any does. Which
        blocks are kept is random (`kept_blocks`). None where the pattern has no kernel.
        """
        usable = [x for x in _layouts(target, pattern) if self._fits(x, zeros)]
        if not usable:
            return None
        block = (usable[0].block_rows, usable[0].block_cols)
        mask = kept_blocks(self.rows, self.cols, block, zeros)
        forms = []
        for layout in usable:
            size, flash = packed_size(mask, self.rows, self.cols, layout)
            cost = fully_connected.sparse_fully_connected(target, layout, size, self.vectors)
            forms.append(Form(flash, cost, pattern=pattern, zeros=zeros))
        dense = self.dense(target)
        return min(forms, key=lambda form: (not wins(form, dense), form.bytes * form.instructions))

    def low_rank(self, target: str, rank: int) -> Form:
        """As two dense layers."""
        inner = MatrixShape(rank, self.cols, self.vectors, self.taps, _BIAS_BYTES * rank)
        outer = MatrixShape(self.rows, rank, self.vectors, min(self.taps, 1), self.bias_bytes)
        parts = [inner.dense(target), outer.dense(target)]
        instructions = sum(part.instructions for part in parts)
        return Form(sum(part.bytes for part in parts), instructions, rank=rank)

    def _instructions(self, target: str) -> int:
        if self.taps == 1:
            return fully_connected.dense_pointwise_conv(target, self.rows, self.cols, self.vectors)
        if self.taps > 1:
            weights = (self.rows, 1, self.taps, self.cols // self.taps)
            return separable_conv.dense_conv(target, weights, (1, 1, self.vectors, self.rows))
        return fully_connected.dense_fully_connected(target, self.rows, self.cols, self.vectors)

    def _fits(self, layout: Layout, zeros: float) -> bool:
        is_woven = layout.value_order is ValueOrder.WOVEN
        return not is_woven or _MAGNITUDE * self.cols * (1 - zeros) < _WOVEN_BOUND


@dataclass(frozen=True)
class ConvShape:
    """A convolution of more than one tap each way, dilation 1.

    Attributes:
        weights: [units, height, width, channels].
        inputs, outputs: [batch, height, width, channels or units].
        strides: down, right.
        padding: both ways.
        bias_bytes: of the dense layer.
    """

    weights: tuple[int, int, int, int]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    strides: tuple[int, int]
    padding: Padding
    bias_bytes: int = 0

    def __str__(self) -> str:
        units, height, width, channels = self.weights
        image = "x".join(map(str, self.inputs[1:3]))
        return f"{height}x{width} {channels}->{units} on {image}"

    @property
    def most_channels(self) -> int:
        """Above these, the two stages have more weights than the convolution."""
        units, height, width, channels = self.weights
        return math.prod(self.weights) // (height * channels + width * units)

    def dense(self, target: str) -> Form:
        """As it is, in int8."""
        instructions = separable_conv.dense_conv(target, self.weights, self.outputs)
        return Form(math.prod(self.weights) + self.bias_bytes, instructions)

    def separated(self, target: str, channels: int) -> Form:
        """With so many channels between the stages."""
        units, height, width, inputs = self.weights
        conv = SeparableConv(
            _stage(channels, height, inputs, self.strides[0], self.padding),
            _stage(units, width, channels, self.strides[1], self.padding),
        )
        order = order_for(conv, target)
        cost = separable_conv.separable_conv(target, conv, order, self.inputs)
        return Form(len(pack(conv, order)), cost, channels=channels)


def kept_blocks(
    rows: int, cols: int, block: tuple[int, int], zeros: float
) -> npt.NDArray[np.bool_]:
    """Which blocks of a layer are not zero, [ceil(rows / height), ceil(cols / width)].

    The number is that closest to the share; those that fewer zeros keep are kept with more, too.
    """
    order = _random_order(-(-rows // block[0]), -(-cols // block[1]))
    return order < round(order.size * (1 - zeros))


def wins(form: Form | None, dense: Form) -> bool:
    """Whether a form is both smaller and faster than the dense one."""
    return form is not None and form.bytes < dense.bytes and form.instructions < dense.instructions


def patterns(target: str) -> list[str]:
    """Blocks that the target has kernels for, single weights first."""
    return list(dict.fromkeys(layout.pattern for layout in _usable(target)))


def break_even_zeros(layer: MatrixShape, target: str, pattern: str) -> Form | None:
    """The sparse form of the fewest zeros, a multiple of 1 / ZERO_STEPS, that wins.

    None where not even MOST_ZEROS do. A form that wins is taken to win with more zeros, too.
    """
    dense = layer.dense(target)

    def form(step: int) -> Form | None:
        return layer.sparse(target, pattern, step / ZERO_STEPS)

    step = _first(lambda n: wins(form(n), dense), round(MOST_ZEROS * ZERO_STEPS))
    return None if step is None else form(step)


def break_even_block(layer: MatrixShape, target: str) -> Form | None:
    """`break_even_zeros` of the pattern of more than one weight that needs the fewest zeros.

    Of patterns that need equally many the one of the fewest instructions.
    """
    blocks = [p for p in patterns(target) if p != "1x1"]
    forms = [form for p in blocks if (form := break_even_zeros(layer, target, p))]
    return min(forms, key=lambda form: (form.zeros, form.instructions), default=None)


def best_sparse(layer: MatrixShape, target: str, zeros: float) -> Form | None:
    """Of the patterns with a share of zeros, the one of the least bytes times instructions.

    None where it does not win.
    """
    forms = [form for p in patterns(target) if (form := layer.sparse(target, p, zeros))]
    best = min(forms, key=lambda form: form.bytes * form.instructions, default=None)
    return best if wins(best, layer.dense(target)) else None


def break_even_rank(layer: MatrixShape, target: str) -> Form | None:
    """The two dense layers of the largest rank that win; None where rank 1 does not."""
    dense = layer.dense(target)
    most = layer.rows * layer.cols // (layer.rows + layer.cols)
    ranks = range(most, 0, -1)
    return next((f for k in ranks if wins(f := layer.low_rank(target, k), dense)), None)


def break_even_channels(layer: ConvShape, target: str) -> Form | None:
    """The separated form of the most channels between the stages that wins; None if none does.

    A form that wins is taken to win with fewer channels, too.
    """
    dense, most = layer.dense(target), layer.most_channels
    fewer = _first(lambda n: wins(layer.separated(target, most - n), dense), most - 1)
    return None if fewer is None else layer.separated(target, most - fewer)


def _first(holds: Callable[[int], bool], last: int) -> int | None:
    """The first of 0..last that holds, all behind it being taken to; None if the last does not."""
    if last < 0 or not holds(last):
        return None
    low, high = -1, last
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


@functools.cache
def _usable(target: str) -> tuple[Layout, ...]:
    return tuple(
        layout
        for layout in layouts_for(target)
        if layout.major is Major.ROW
        and layout.value_type is ValueType.INT8
        and fully_connected.is_measured(target, layout)
    )


def _layouts(target: str, pattern: str) -> list[Layout]:
    return [layout for layout in _usable(target) if layout.pattern == pattern]


@functools.lru_cache(maxsize=16)
def _random_order(height: int, width: int) -> npt.NDArray[np.int64]:
    """A random order of blocks, [height, width]."""
    order = np.random.default_rng(_SEED).permutation(height * width)
    return order.reshape(height, width)


def _stage(units: int, kernel: int, channels: int, stride: int, padding: Padding) -> ConvStage:
    """A stage of typical weights."""
    return ConvStage(
        weights=np.full((units, kernel, channels), _MAGNITUDE, np.int8),
        bias=np.zeros(units, np.int32),
        multiplier=np.full(units, 1 << 30, np.int32),
        shift=np.full(units, -8, np.int8),
        stride=stride,
        padding=padding,
        activation_min=-128,
        activation_max=127,
    )
