"""What a pass knows besides the model: for whom it converts, and what calibration has seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tflm_sparsesep.converters.cost.choose_layout import Prefer
from tflm_sparsesep.converters.tflite.editor import Buffer


@dataclass(frozen=True)
class Conversion:
    """One conversion.

    target: a name of `targets.TARGETS`. input_zeros: for tensors, by name, the share of elements
    that equal their zero point on calibration data (after a RELU often over a half); tensors that
    are not in it count as free of zeros. prefer: what layouts are chosen by (`choose_layout`).
    users: how many operators and others refer to a constant (`tflite.references`).
    """

    target: str
    input_zeros: Mapping[str, float] = field(default_factory=dict)
    prefer: Prefer | None = None
    users: Mapping[Buffer, int] = field(default_factory=dict)
