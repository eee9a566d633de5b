"""The decision of the converter about each layer, with its reason."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class LayerDecision:
    """One layer before and after the conversion.

    Fields that do not apply are None. If no kernel runs the layer, only the first four are set.

    Attributes:
        name: the name of the layer: of its output tensor, without fused parts.
        op: the operator in the source file.
        rewritten: True if the layer is packed.
        reason: why.
        rows, cols: output and input channels of the weight matrix.
        batch: input vectors of one inference.
        zeros: fraction of weights that are zero.
        pattern, index: of the layout, as in "1x4" and "delta8".
        dense_bytes, packed_bytes: weights, bias and requantization in the file.
        dense_instructions, sparse_instructions: estimates for one inference on the target.
        variant: the kernel that runs the packed layer on the target.
        scratch_bytes: the arena that the kernel uses during an inference.
    """

    name: str
    op: str
    rewritten: bool
    reason: str
    rows: int | None = None
    cols: int | None = None
    batch: int | None = None
    zeros: float | None = None
    pattern: str | None = None
    index: str | None = None
    dense_bytes: int | None = None
    packed_bytes: int | None = None
    dense_instructions: int | None = None
    sparse_instructions: int | None = None
    variant: str | None = None
    scratch_bytes: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain values."""
        return dataclasses.asdict(self)
