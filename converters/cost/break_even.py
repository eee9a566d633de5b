"""The fewest zeros, or the largest rank, at which a layer is both smaller and faster on a target.

Forms of a layer are compared from shapes alone, with the exact sizes of the packer and the cost
models. The positions of the kept blocks are random.

- sparse: SPARSE_FULLY_CONNECTED or SPARSE_CONV_2D in blocks of a pattern. Column-major and palette
  layouts are left out, because they depend on input zeros and on the values of weights.
- low rank (SVD): rows x cols as k x cols followed by rows x k, two dense layers with biases.
- separated: a d x e convolution C -> N as d x 1, C -> K, and 1 x e, K -> N: SEPARABLE_CONV_2D.

Bytes are weights, biases and requantization as stored; instructions are for one inference.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.blob.depthwise_format import HEADER
from tflm_sparsesep.converters.blob.format import Layout, Major, ValueOrder, ValueType
from tflm_sparsesep.converters.blob.pack_separable import ConvStage, SeparableConv, order_for, pack
from tflm_sparsesep.converters.blob.separable_format import Padding
from tflm_sparsesep.converters.blob.size import packed_size
from tflm_sparsesep.converters.blob.value_streams import WOVEN_BOUND
from tflm_sparsesep.converters.cost import depthwise_conv, depthwise_kernels, separable_conv
from tflm_sparsesep.converters.cost.choose_layout import measured_layouts
from tflm_sparsesep.converters.cost.cost import Cost, total
from tflm_sparsesep.converters.cost.depthwise_conv import DepthwiseShape
from tflm_sparsesep.converters.cost.shapes import ConvShape, MatrixShape, SparseShape

ZERO_STEPS = 200
"""Fractions of zeros are multiples of 1 / ZERO_STEPS."""
MOST_ZEROS = 0.99
"""The largest fraction of zeros that is tried."""

_SEED = 0
# Multiplier and shift of a channel, in a blob.
_REQUANTIZATION_BYTES = 5
# The mean magnitude of normally distributed int8 weights whose largest value is 127.
_MAGNITUDE = 32


@dataclass(frozen=True)
class PlannedForm(Cost):
    """One way to store and run a layer.

    Attributes:
        pattern: of a sparse layer, such as "4x4"; the kernel of a layer that stays as it is.
        zeros: of a sparse layer, the fraction of weights that are zero.
        rank: of two dense layers.
        channels: of the intermediate feature map of a separated convolution.
    """

    pattern: str | None = None
    zeros: float | None = None
    rank: int | None = None
    channels: int | None = None

    def __str__(self) -> str:
        if self.pattern is not None:
            return self.pattern if self.zeros is None else f"{self.pattern}, {self.zeros:.1%} zeros"
        if self.channels is not None:
            return f"separated, K = {self.channels}"
        return f"two layers, rank {self.rank}"


def sparse_form(layer: SparseShape, target: str, pattern: str, zeros: float) -> PlannedForm | None:
    """Return `layer` with a fraction `zeros` of its blocks zero, in the best layout of `pattern`.

    The best layout has the smallest product of bytes and instructions, among the layouts that beat
    the dense layer if there are any. The kept blocks are random (`kept_blocks`). None if the
    pattern has no kernel.
    """
    usable = [x for x in _usable(target) if x.pattern == pattern and _fits(layer, x, zeros)]
    if not usable:
        return None
    block = (usable[0].block_rows, usable[0].block_cols)
    mask = kept_blocks(layer.rows, layer.cols, block, zeros)
    forms = []
    for layout in usable:
        size = packed_size(mask, layer.rows, layer.cols, layout)
        cost = layer.sparse(target, layout, size)
        forms.append(PlannedForm(cost.bytes, cost.instructions, pattern=pattern, zeros=zeros))
    dense = layer.dense(target)
    return min(forms, key=lambda form: (not form.beats(dense), form.bytes * form.instructions))


def low_rank_form(layer: MatrixShape, target: str, rank: int) -> PlannedForm:
    """Return `layer` as two dense layers."""
    inner_bytes = layer.parameter_bytes // layer.rows * rank
    inner = replace(layer, rows=rank, parameter_bytes=inner_bytes)
    outer = replace(layer, cols=rank, taps=min(layer.taps, 1))
    both = total([inner.dense(target), outer.dense(target)])
    return PlannedForm(both.bytes, both.instructions, rank=rank)


def separated_form(layer: ConvShape, target: str, channels: int) -> PlannedForm:
    """Return `layer` with `channels` intermediate channels between its two stages."""
    units, height, width, inputs = layer.weights
    conv = SeparableConv(
        _stage(channels, height, inputs, layer.strides[0], layer.padding),
        _stage(units, width, channels, layer.strides[1], layer.padding),
    )
    order = order_for(conv, target)
    cost = separable_conv.fused_instructions(target, conv, order, layer.inputs)
    return PlannedForm(len(pack(conv, order)), cost, channels=channels)


def depthwise_form(layer: DepthwiseShape, target: str) -> PlannedForm | None:
    """Return `layer` as d x 1 and 1 x e with a bias each; None where there is no such form."""
    if not layer.is_separable:
        return None
    weights, parameters = sum(layer.kernel) * layer.units, 2 * layer.parameter_bytes
    instructions = sum(depthwise_conv.dense_instructions(target, one) for one in layer.stages)
    return PlannedForm(weights + parameters, instructions, rank=1)


def break_even_depthwise(layer: DepthwiseShape, target: str) -> PlannedForm | None:
    """Return `depthwise_form` where it is both smaller and faster."""
    form = depthwise_form(layer, target)
    return form if form is not None and form.beats(layer.dense(target)) else None


def depthwise_kernel_form(layer: DepthwiseShape, target: str) -> PlannedForm | None:
    """Return the same layer in the depthwise kernel of the target; None if it is not faster."""
    if target == "host":  # LiteRT's own is faster
        return None
    dense, run = layer.dense(target), depthwise_kernels.DepthwiseRun(layer)
    instructions = depthwise_kernels.instructions(target, run)
    packed = dense.bytes + HEADER.itemsize + _REQUANTIZATION_BYTES * layer.units
    form = PlannedForm(packed, instructions, pattern="kernel")
    return form if instructions < dense.instructions else None


def kept_blocks(
    rows: int, cols: int, block: tuple[int, int], zeros: float
) -> npt.NDArray[np.bool_]:
    """Return which blocks of a layer are kept, bool[ceil(rows / height), ceil(cols / width)].

    Their number is nearest to the fraction. Blocks that are kept at some `zeros` are also kept at
    fewer.
    """
    order = _random_order(-(-rows // block[0]), -(-cols // block[1]))
    return order < round(order.size * (1 - zeros))


def patterns(target: str) -> list[str]:
    """Return the patterns that the target has kernels for, 1x1 first."""
    return list(dict.fromkeys(layout.pattern for layout in _usable(target)))


def break_even_zeros(layer: SparseShape, target: str, pattern: str) -> PlannedForm | None:
    """Return the sparse form with the fewest zeros that beats the dense layer.

    None if even MOST_ZEROS does not. The search assumes that a form that wins also wins with more
    zeros.
    """
    dense = layer.dense(target)

    def form(step: int) -> PlannedForm | None:
        return sparse_form(layer, target, pattern, step / ZERO_STEPS)

    step = _first(lambda n: _beats(form(n), dense), round(MOST_ZEROS * ZERO_STEPS))
    return None if step is None else form(step)


def break_even_block(layer: SparseShape, target: str) -> PlannedForm | None:
    """Return `break_even_zeros` of the block pattern that needs the fewest zeros.

    Equal patterns are ordered by instructions.
    """
    blocks = [p for p in patterns(target) if p != "1x1"]
    forms = [form for p in blocks if (form := break_even_zeros(layer, target, p))]
    return min(forms, key=lambda form: (form.zeros, form.instructions), default=None)


def best_sparse(layer: SparseShape, target: str, zeros: float) -> PlannedForm | None:
    """Return the pattern with the smallest product of bytes and instructions at `zeros`.

    None if it does not beat the dense layer.
    """
    forms = [form for p in patterns(target) if (form := sparse_form(layer, target, p, zeros))]
    best = min(forms, key=lambda form: form.bytes * form.instructions, default=None)
    return best if _beats(best, layer.dense(target)) else None


def break_even_rank(layer: MatrixShape, target: str) -> PlannedForm | None:
    """Return the two dense layers with the largest rank that wins; None if rank 1 does not."""
    dense = layer.dense(target)
    most = layer.rows * layer.cols // (layer.rows + layer.cols)
    ranks = range(most, 0, -1)
    return next((f for k in ranks if (f := low_rank_form(layer, target, k)).beats(dense)), None)


def break_even_channels(layer: ConvShape, target: str) -> PlannedForm | None:
    """Return the separated form with the most intermediate channels that wins; None if none does.

    The search assumes that a form that wins also wins with fewer channels.
    """
    dense, most = layer.dense(target), layer.most_channels
    fewer = _first(lambda n: separated_form(layer, target, most - n).beats(dense), most - 1)
    return None if fewer is None else separated_form(layer, target, most - fewer)


def _first(holds: Callable[[int], bool], last: int) -> int | None:
    """Return the first of 0..last that holds; None if none does.

    The search assumes that all after the first hold.
    """
    if last < 0 or not holds(last):
        return None
    low, high = -1, last
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def _usable(target: str) -> list[Layout]:
    return [
        layout
        for layout in measured_layouts(target)
        if layout.major is Major.ROW and layout.value_type is ValueType.INT8
    ]


def _beats(form: PlannedForm | None, dense: Cost) -> bool:
    return form is not None and form.beats(dense)


def _fits(layer: SparseShape, layout: Layout, zeros: float) -> bool:
    is_woven = layout.value_order is ValueOrder.WOVEN
    return not is_woven or 128 * _MAGNITUDE * layer.cols * (1 - zeros) < WOVEN_BOUND


@functools.lru_cache(maxsize=16)
def _random_order(height: int, width: int) -> npt.NDArray[np.int64]:
    """Return random ranks of blocks, [height, width]."""
    order = np.random.default_rng(_SEED).permutation(height * width)
    return order.reshape(height, width)


def _stage(units: int, kernel: int, channels: int, stride: int, padding: Padding) -> ConvStage:
    """Return a stage with typical weights."""
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
