"""The parameters of a conversion, which every pass gets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tflm_sparsesep.converters.cost.choose_layout import Prefer
from tflm_sparsesep.converters.tflite.editor import Buffer, Operator


@dataclass(frozen=True)
class Conversion:
    """The parameters of one conversion.

    Attributes:
        target: a name of `targets.TARGETS`.
        input_zeros: for tensors by name, the fraction of elements that equal their zero_point on
            calibration data. It is 0 for other tensors; after a RELU it often exceeds one half.
        prefer: "flash", "speed", or None for their product (`choose_layout`).
        users: the number of references to a constant (`tflite.references`); 1 for those not listed.
    """

    target: str
    input_zeros: Mapping[str, float] = field(default_factory=dict)
    prefer: Prefer | None = None
    users: Mapping[Buffer, int] = field(default_factory=dict)

    def users_of(self, op: Operator) -> int:
        """Return the references to the weights of `op`: only their last user removes them."""
        weights = op.inputs[1]
        buffer = None if weights is None else weights.buffer
        return 1 if buffer is None else self.users.get(buffer, 1)
