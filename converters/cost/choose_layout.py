"""The selection of the layout that stores a layer best on a target.

It compares exact sizes and predicted instructions, without packing.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Literal

from tflm_sparsesep.converters.blob.format import Layout, Major
from tflm_sparsesep.converters.blob.layouts import layouts_for
from tflm_sparsesep.converters.blob.pack import PackableWeights, can_pack
from tflm_sparsesep.converters.blob.pack_sparse_conv import ConvWindow
from tflm_sparsesep.converters.blob.size import PackedSize, block_mask, packed_size
from tflm_sparsesep.converters.blob.sparse_conv_format import HEADER
from tflm_sparsesep.converters.cost import fully_connected, sparse_conv
from tflm_sparsesep.converters.cost.cost import Cost, PackedCost
from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.converters.targets import get_target

Prefer = Literal["flash", "speed"]
PREFERENCES: tuple[Prefer, ...] = ("flash", "speed")

# Column-major kernels keep an accumulator for every row in the arena, so they must win by a tenth.
_COLUMN_MAJOR_HANDICAP = 1.1

# With prefer="speed", a layer that gets faster may grow by a fifth: it then serves layers without
# zeros, too, where a kernel of ours beats the dense one.
SPEED_GROWTH = 1.2


def check_preference(prefer: str | None) -> Prefer | None:
    """Return `prefer` if it is one of PREFERENCES or None, else raise ConfigError."""
    if prefer is None or prefer in PREFERENCES:
        return prefer
    raise ConfigError(f"prefer={prefer!r}; accepted: {', '.join(PREFERENCES)}, or None")


def pays(packed: Cost, dense: Cost, prefer: Prefer | None = None) -> bool:
    """Return True if `packed` should replace `dense`: it is faster, and smaller.

    With prefer="speed", it may grow up to SPEED_GROWTH times `dense`.
    """
    limit = most_bytes(dense.bytes, prefer)
    return packed.instructions < dense.instructions and packed.bytes < limit


def is_better(one: Cost, other: Cost, prefer: Prefer | None = None) -> bool:
    """Return True if `choose_layout` would take `one`, had it the choice of two that pay."""
    return _price(one, prefer) < _price(other, prefer)


def most_bytes(dense: int, prefer: Prefer | None) -> float:
    """Return the size below which a layer of `dense` bytes must stay to be packed."""
    return SPEED_GROWTH * dense if prefer == "speed" else dense


@functools.cache
def measured_layouts(target: str) -> tuple[Layout, ...]:
    """Return the layouts that kernels of the target run at a known cost."""
    return tuple(x for x in layouts_for(target) if fully_connected.is_measured(target, x))


def choose_layout(
    layer: PackableWeights,
    target: str,
    batch: int,
    input_zeros: float = 0.0,
    *,
    dense: Cost | None = None,
    prefer: Prefer | None = None,
    time_of: Callable[[Layout, PackedSize], int] | None = None,
) -> PackedCost | None:
    """Return the layout of `layer` with the smallest product of instructions and bytes.

    With `prefer`, the smallest or the fastest layout wins. A column-major layout must win by a
    tenth. Layouts that pay (`pays`) come before all others.

    Args:
        layer: the weights.
        target: a name of `targets.TARGETS`.
        batch: input vectors of one inference.
        input_zeros: fraction of inputs that equal the zero_point.
        dense: the cost of the dense layer.
        prefer: "flash", "speed", or None for their product.
        time_of: instructions of a layout; by default those of SPARSE_FULLY_CONNECTED.

    Returns:
        The layout with its cost; None if no kernel of the target takes these weights.
    """
    rows, cols = layer.weights.shape
    mask = functools.cache(functools.partial(block_mask, layer.weights))
    if time_of is None:
        time_of = functools.partial(_fully_connected, target, batch, input_zeros)
    candidates = []
    for layout in measured_layouts(target):
        if can_pack(layer, layout):
            size = packed_size(mask((layout.block_rows, layout.block_cols)), rows, cols, layout)
            candidates.append(PackedCost(size.bytes, time_of(layout, size), layout))

    def order(candidate: PackedCost) -> tuple[bool, tuple[float, float]]:
        return dense is not None and not pays(candidate, dense, prefer), _price(candidate, prefer)

    return min(candidates, key=order, default=None)


def choose_conv_layout(
    layer: PackableWeights,
    window: ConvWindow,
    inputs: tuple[int, ...],
    target: str,
    *,
    dense: Cost,
    prefer: Prefer | None = None,
) -> PackedCost | None:
    """Return what `choose_layout` does, for the layouts of a SPARSE_CONV_2D.

    Args:
        layer: the weights, columns in the order of the blob.
        window: the geometry.
        inputs: [batch, height, width, channels].
        target: as for `choose_layout`, `dense` and `prefer` too.
        dense: the cost of the dense layer.
        prefer: the preference.
    """

    def time_of(layout: Layout, size: PackedSize) -> int:
        return sparse_conv.sparse_instructions(target, layout, size, window, inputs)

    pixels = math.prod(window.output_shape(inputs, 1))
    # The header counts, too.
    without = dataclasses.replace(dense, bytes=dense.bytes - HEADER.itemsize)
    best = choose_layout(layer, target, pixels, dense=without, prefer=prefer, time_of=time_of)
    return None if best is None else dataclasses.replace(best, bytes=best.bytes + HEADER.itemsize)


def _fully_connected(
    target: str, batch: int, input_zeros: float, layout: Layout, size: PackedSize
) -> int:
    return fully_connected.sparse_instructions(target, layout, size, batch, input_zeros)


def _price(cost: Cost, prefer: Prefer | None) -> tuple[float, float]:
    """Return what the selection minimizes, then what decides between equals."""
    is_column = isinstance(cost, PackedCost) and cost.layout.major is Major.COLUMN
    handicap = _COLUMN_MAJOR_HANDICAP if is_column else 1.0
    time, flash = handicap * cost.instructions, cost.bytes
    if prefer == "flash":
        return flash, time
    return (time, flash) if prefer == "speed" else (time * flash, flash)


def reason_to_stay_dense(
    best: Cost, dense: Cost, *, zeros: float, target: str, prefer: Prefer | None = None
) -> str | None:
    """Return why `best` does not pay; None if it does."""
    if pays(best, dense, prefer):
        return None
    share = f"{zeros:.1%} zeros"
    if best.instructions >= dense.instructions:
        return (
            f"{share}: sparse would take {best.instructions:,} {get_target(target).cost_unit} on "
            f"{target}, dense takes {dense.instructions:,}"
        )
    return f"{share}: packed would take {best.bytes:,} bytes, dense takes {dense.bytes:,}"
