"""What a model's weights will cost on the device, estimated while they are trained.

They are quantised as TensorFlow quantises them (int8, one scale per output) and packed as the
converter packs them, with the rows in another order where it would reorder them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.blob.format import Layout
from tflm_sparsesep.converters.blob.layouts import layouts_for
from tflm_sparsesep.converters.blob.pack import FullyConnectedWeights, can_pack, pack
from tflm_sparsesep.converters.cost import fully_connected
from tflm_sparsesep.converters.cost.choose_layout import Candidate, DenseCost, Prefer, choose_layout
from tflm_sparsesep.converters.passes.row_grouping import Order, group_rows
from tflm_sparsesep.training.device_layer import DeviceLayer
from tflm_sparsesep.training.palette import to_palette

Weights = npt.NDArray[Any]

# A layout goes on suiting a layer until its nonzeros have changed by this share, or the share of
# zero inputs by so much.
_SIMILAR_NONZEROS = 0.3
_SIMILAR_INPUTS = 0.05


@dataclass(frozen=True)
class Estimate:
    """One layer, or a model, on the device: bytes of weights, biases and requantisation as stored,
    and instructions of one inference (0 for layers without a sparse kernel).

    `layout` is that of the packed form, None where the dense one stays.
    """

    bytes: int
    instructions: int
    layout: Layout | None = None


@dataclass(frozen=True)
class _Choice:
    """How a layer was packed best: layout, the block that rows were reordered for, and when."""

    layout: Layout
    reordered_for: tuple[int, int] | None
    nonzeros: int
    input_zeros: float


class PackedEstimate:
    """Estimates for one target that remember which layout suited which layer.

    Layers are best asked for in the order of execution: where one's rows were reordered, the
    columns of the next are estimated in that order. Units that are never used come to lie together.

    To choose a layout takes as many packings as there are layouts, for each order of the rows
    (a second for LeNet-300-100); to pack in the one chosen last takes a twentieth of that.

    Attributes:
        target: a name of `targets.TARGETS`.
        palettes: names of layers whose weights will be rounded to a palette.
        prefer: what layouts are chosen by, as for `convert`.
    """

    def __init__(
        self, target: str, palettes: Collection[str] = (), *, prefer: Prefer | None = None
    ) -> None:
        self.target = target
        self.prefer = prefer
        self.palettes = frozenset(palettes)
        self._chosen: dict[str, _Choice] = {}
        # Of layers whose inputs another layer gives in another order, by name.
        self._column_orders: dict[str, Order] = {}
        usable = [x for x in layouts_for(target) if fully_connected.is_measured(target, x)]
        blocks = dict.fromkeys((x.block_rows, x.block_cols) for x in usable)
        self._blocks_of_rows = [block for block in blocks if block[0] > 1]

    def layer(
        self,
        layer: DeviceLayer,
        weights: Weights,
        *,
        input_zeros: float = 0.0,
        choose: bool = True,
    ) -> Estimate:
        """Of one layer.

        Args:
            layer: what it is.
            weights: float [rows, cols]; unused where no sparse kernel exists for it.
            input_zeros: share of inputs that are zero.
            choose: weigh all layouts; if not, the one chosen last where the weights are similar.
        """
        dense = Estimate(layer.dense_bytes, layer.dense_instructions(self.target))
        if not layer.has_kernel:
            return dense
        order = self._column_orders.get(layer.name)
        quantised = quantise(weights if order is None else weights[:, order])
        if layer.name in self.palettes:
            scales = np.abs(weights).max(axis=1)
            quantised = replace(quantised, weights=to_palette(quantised.weights, scales))
        best = None if choose else self._pack_as_before(layer, quantised, input_zeros)
        if best is None:
            best = self._choose(layer, quantised, input_zeros)
        if best is None or not best.beats(_dense_cost(layer, self.target)):
            return dense
        return Estimate(len(best.blob), best.instructions, best.layout)

    def total(
        self,
        layers: Sequence[DeviceLayer],
        weights: Mapping[str, Weights],
        *,
        input_zeros: Mapping[str, float] | None = None,
        choose: bool = True,
    ) -> Estimate:
        """Of all `layers` together; those without `weights` count as dense.

        `weights` and `input_zeros` are by name; the rest is as for `layer`.
        """
        zeros = input_zeros or {}
        estimates = [
            self.layer(
                layer,
                weights[layer.name],
                input_zeros=zeros.get(layer.name, 0.0),
                choose=choose,
            )
            if layer.name in weights
            else Estimate(layer.dense_bytes, layer.dense_instructions(self.target))
            for layer in layers
        ]
        return Estimate(sum(e.bytes for e in estimates), sum(e.instructions for e in estimates))

    def _choose(
        self, layer: DeviceLayer, quantised: FullyConnectedWeights, input_zeros: float
    ) -> Candidate | None:
        """As `converters/passes/group_rows` and `sparse_fully_connected` choose."""
        best = self._best_layout(layer, quantised, input_zeros)
        if best is None:
            return None
        reordered_for, best_order = None, np.arange(layer.rows)
        for block in self._blocks_of_rows if layer.reader else ():
            order = group_rows(quantised.weights, block)
            found = self._best_layout(layer, _reordered(quantised, order), input_zeros)
            if found and found.layout.block_rows > 1 and self._gains(found, best):
                best, reordered_for, best_order = found, block, order
        nonzeros = int(np.count_nonzero(quantised.weights))
        self._chosen[layer.name] = _Choice(best.layout, reordered_for, nonzeros, input_zeros)
        self._tell_reader(layer, best_order)
        return best

    def _best_layout(
        self, layer: DeviceLayer, quantised: FullyConnectedWeights, input_zeros: float
    ) -> Candidate | None:
        dense = _dense_cost(layer, self.target)
        return choose_layout(
            quantised, self.target, layer.vectors, input_zeros, dense=dense, prefer=self.prefer
        )

    def _gains(self, found: Candidate, before: Candidate) -> bool:
        """Whether rows in another order pay, as `converters/passes/group_rows` sees it."""
        if self.prefer == "flash":
            return len(found.blob) < len(before.blob)
        return found.instructions < before.instructions

    def _tell_reader(self, layer: DeviceLayer, order: Order) -> None:
        if layer.reader:
            self._column_orders[layer.reader] = order

    def _pack_as_before(
        self, layer: DeviceLayer, quantised: FullyConnectedWeights, input_zeros: float
    ) -> Candidate | None:
        """In the layout chosen last, if weights and inputs had about as many zeros then."""
        last = self._chosen.get(layer.name)
        if last is None or not can_pack(quantised, last.layout):
            return None
        change = abs(int(np.count_nonzero(quantised.weights)) - last.nonzeros)
        if (
            change > _SIMILAR_NONZEROS * last.nonzeros
            or abs(input_zeros - last.input_zeros) > _SIMILAR_INPUTS
        ):
            return None
        if last.reordered_for is not None:
            order = group_rows(quantised.weights, last.reordered_for)
            quantised = _reordered(quantised, order)
            self._tell_reader(layer, order)
        blob = pack(quantised, last.layout)
        size = fully_connected.PackedSize.of(blob)
        cost = fully_connected.sparse_fully_connected(
            self.target, last.layout, size, layer.vectors, input_zeros
        )
        return Candidate(last.layout, blob, cost)


def _dense_cost(layer: DeviceLayer, target: str) -> DenseCost:
    return DenseCost(layer.dense_instructions(target), layer.dense_bytes)


def _reordered(weights: FullyConnectedWeights, order: Order) -> FullyConnectedWeights:
    return replace(weights, weights=weights.weights[order])


def quantise(weights: Weights) -> FullyConnectedWeights:
    """[rows, cols] as int8, symmetric with one scale per row.

    Requantisation and bias, which do not change sizes, hold typical numbers.
    """
    rows = len(weights)
    largest = np.abs(weights).max(axis=1, keepdims=True)
    scaled = weights * (127 / np.where(largest > 0, largest, 1))
    return FullyConnectedWeights(
        weights=np.rint(scaled).astype(np.int8),
        bias=np.zeros(rows, np.int32),
        multiplier=np.full(rows, 1 << 30, np.int32),
        shift=np.full(rows, -8, np.int8),
        input_zero_point=0,
    )


def as_matrix(kernel: Weights) -> Weights:
    """A kernel [..., inputs, outputs] as the packer sees it, [outputs, all taps and inputs]."""
    return kernel.reshape(-1, kernel.shape[-1]).T
