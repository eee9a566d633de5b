"""What the converter decided about each layer that it looked at, and why."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class LayerDecision:
    """One layer before and after.

    `rows` are output units, `cols` input units, `batch` vectors per inference, `zeros` the
    fraction of weights that are zero. Bytes count weights, bias and requantisation as stored in
    the file; instructions are estimates of the cost model for one inference on the target.
    `variant` is the kernel that runs the packed layer on the target and `scratch_bytes` the arena
    that it asks for, for the time of one inference.

    Fields that do not apply are None: those of the packed form where the layer stays dense for
    a reason of kind, all but `reason` for layers of a sort that no pass handles.
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
        """The fields as plain values."""
        return dataclasses.asdict(self)
