"""Which layout stores a layer best on a target, or that none beats the dense layer."""

from __future__ import annotations

from dataclasses import dataclass

from tflm_sparsesep.converters import cost_model
from tflm_sparsesep.converters.layouts import layouts_for
from tflm_sparsesep.converters.pack import (
    FloatWeights,
    FullyConnectedWeights,
    can_pack,
    pack,
)
from tflm_sparsesep.converters.packed_format import Layout, Major

# Column-major kernels keep an accumulator for every row in the arena: they must win by this much.
_COLUMN_MAJOR_HANDICAP = 1.1


@dataclass(frozen=True)
class Candidate:
    """A layer packed in one layout, with its estimated instructions per inference."""

    layout: Layout
    blob: bytes
    instructions: int

    @property
    def price(self) -> float:
        """What the choice makes small: instructions times bytes of flash."""
        handicap = _COLUMN_MAJOR_HANDICAP if self.layout.major is Major.COLUMN else 1.0
        return handicap * self.instructions * len(self.blob)


def choose_layout(
    layer: FullyConnectedWeights | FloatWeights,
    target: str,
    batch: int,
    input_zeros: float = 0.0,
) -> Candidate | None:
    """The packed form of `layer` with the smallest product of time and flash.

    So a layout that is twice as large must be more than twice as fast to be chosen, and
    column-major layouts must win by a tenth.

    `input_zeros` is the share of inputs that equal the zero point. None where no kernel of the
    target takes such weights.
    """
    candidates = []
    for layout in layouts_for(target):
        if not (cost_model.is_measured(target, layout) and can_pack(layer, layout)):
            continue
        blob = pack(layer, layout)
        size = cost_model.PackedSize.of(blob)
        cost = cost_model.sparse_fully_connected(target, layout, size, batch, input_zeros)
        candidates.append(Candidate(layout, blob, cost))
    return min(candidates, key=lambda candidate: candidate.price, default=None)


def reason_to_stay_dense(
    best: Candidate, *, zeros: float, target: str, dense_instructions: int, dense_bytes: int
) -> str | None:
    """None where the packed form wins in both time and flash, else why it does not."""
    share = f"{zeros:.1%} zeros"
    if best.instructions >= dense_instructions:
        return (
            f"{share}: sparse would take {best.instructions:,} instructions on {target}, "
            f"dense takes {dense_instructions:,}"
        )
    if len(best.blob) >= dense_bytes:
        return f"{share}: packed would take {len(best.blob):,} bytes, dense takes {dense_bytes:,}"
    return None
