"""Which layout stores a layer best on a target, or that none beats the dense layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tflm_sparsesep.converters.blob.format import Layout, Major
from tflm_sparsesep.converters.blob.layouts import layouts_for
from tflm_sparsesep.converters.blob.pack import FloatWeights, FullyConnectedWeights, can_pack, pack
from tflm_sparsesep.converters.cost import fully_connected
from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.converters.targets import get_target

Prefer = Literal["flash", "speed"]
PREFERENCES: tuple[Prefer, ...] = ("flash", "speed")

# Column-major kernels keep an accumulator for every row in the arena: they must win by this much.
_COLUMN_MAJOR_HANDICAP = 1.1


@dataclass(frozen=True)
class DenseCost:
    """What a layer takes as it is: instructions of one inference, bytes of weights and bias."""

    instructions: int
    bytes: int


@dataclass(frozen=True)
class Candidate:
    """A layer packed in one layout, with its estimated instructions per inference."""

    layout: Layout
    blob: bytes
    instructions: int

    def price(self, prefer: Prefer | None = None) -> tuple[float, float]:
        """What the choice makes small, then what decides between equals."""
        handicap = _COLUMN_MAJOR_HANDICAP if self.layout.major is Major.COLUMN else 1.0
        time, flash = handicap * self.instructions, len(self.blob)
        if prefer == "flash":
            return flash, time
        return (time, flash) if prefer == "speed" else (time * flash, flash)

    def beats(self, dense: DenseCost) -> bool:
        """Whether it is both smaller and faster."""
        return self.instructions < dense.instructions and len(self.blob) < dense.bytes


def check_preference(prefer: str | None) -> Prefer | None:
    """`prefer` if it is one of PREFERENCES or None, else raises ConfigError."""
    for known in PREFERENCES:
        if prefer == known:
            return known
    if prefer is None:
        return None
    raise ConfigError(f"prefer={prefer!r}; accepted: {', '.join(PREFERENCES)}, or None")


def choose_layout(
    layer: FullyConnectedWeights | FloatWeights,
    target: str,
    batch: int,
    input_zeros: float = 0.0,
    *,
    dense: DenseCost | None = None,
    prefer: Prefer | None = None,
) -> Candidate | None:
    """The packed form of `layer` with the smallest product of time and flash.

    So a layout that is twice as large must be more than twice as fast to be chosen, and
    column-major layouts must win by a tenth. With `prefer` it is the smallest one, or the fastest.

    Layouts that are both smaller and faster than `dense` come before all others: where one is, the
    layer need not stay as it is for another's product.

    `input_zeros` is the share of inputs that equal the zero point. None where no kernel of the
    target takes such weights.
    """
    candidates = []
    for layout in layouts_for(target):
        if not (fully_connected.is_measured(target, layout) and can_pack(layer, layout)):
            continue
        blob = pack(layer, layout)
        size = fully_connected.PackedSize.of(blob)
        cost = fully_connected.sparse_fully_connected(target, layout, size, batch, input_zeros)
        candidates.append(Candidate(layout, blob, cost))

    def order(candidate: Candidate) -> tuple[bool, tuple[float, float]]:
        return dense is not None and not candidate.beats(dense), candidate.price(prefer)

    return min(candidates, key=order, default=None)


def reason_to_stay_dense(
    best: Candidate, dense: DenseCost, *, zeros: float, target: str
) -> str | None:
    """None where the packed form wins in both time and flash, else why it does not."""
    share = f"{zeros:.1%} zeros"
    if best.instructions >= dense.instructions:
        return (
            f"{share}: sparse would take {best.instructions:,} {get_target(target).cost_unit} on "
            f"{target}, dense takes {dense.instructions:,}"
        )
    if len(best.blob) >= dense.bytes:
        return f"{share}: packed would take {len(best.blob):,} bytes, dense takes {dense.bytes:,}"
    return None
