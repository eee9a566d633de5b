"""An estimate of cycles from executed instructions by class: a model, not a measurement.

    cycles = sum over classes of instructions * cycles of the class

The timings are those of Arm's Technical Reference Manuals, for code and data in memory without wait
states. They give an idea of the time that a layer takes.

The model leaves out wait states and caches, stalls between dependent instructions, and interrupts.
An instruction that loads or stores several registers counts as one, so kernels that use them look
faster than they are: do not rank similar kernels by cycles. The fraction of taken branches is not
measured but assumed (`TAKEN`): loops close with a taken branch, and most tests inside fall through.
For Cortex-M7 and Cortex-M55 Arm publishes no table, so their timings are assumptions
(`Timing.source`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

TAKEN = 0.75
"""The assumed fraction of branches that are taken."""


@dataclass(frozen=True)
class Timing:
    """Cycles of one instruction of each class on a core.

    Attributes:
        load, store, multiply, branch_taken, branch_not_taken, other: cycles of the class.
        vector: cycles of FPU and Helium instructions, except loads and stores.
        source: the origin of the figures, or the assumptions.
    """

    load: float
    store: float
    multiply: float
    branch_taken: float
    branch_not_taken: float
    vector: float
    other: float
    source: str

    def of_class(self, name: str) -> float:
        """Return the cycles of an average instruction of a class of `emulation.CLASSES`."""
        if name == "branch":
            return TAKEN * self.branch_taken + (1.0 - TAKEN) * self.branch_not_taken
        cycles: float = getattr(self, name)
        return cycles


# In the order of the fields of `Timing`.
TIMINGS: dict[str, Timing] = {
    "cortex-m0": Timing(
        *(2, 2, 1, 3, 1, 1, 1),
        "Cortex-M0 TRM (DDI 0432), instruction set summary; with the fast multiplier",
    ),
    "cortex-m3": Timing(
        *(2, 2, 2, 3, 1, 1, 1),
        "Cortex-M3 TRM (DDI 0337), table 3-1: MLA for multiplications, a pipeline refill of "
        "2 cycles (1 to 3) for a taken branch; no overlap of adjacent loads and stores",
    ),
    "cortex-m4": Timing(
        *(2, 2, 1, 3, 1, 1, 1),
        "Cortex-M4 TRM (100166), table 3-1: a pipeline refill of 2 cycles (1 to 3) for a "
        "taken branch; no overlap of adjacent loads and stores",
    ),
    "cortex-m7": Timing(
        *(1, 1, 1, 1, 0.5, 1, 0.5),
        "assumed: two instructions a cycle (Cortex-M7 TRM, DDI 0489), but only one of them "
        "a load, store, multiplication or taken branch; every branch predicted; tightly coupled "
        "memory",
    ),
    "cortex-m33": Timing(
        *(2, 2, 1, 3, 1, 1, 1),
        "assumed: as Cortex-M4, as the Cortex-M33 TRM (100230) has no table; its pairs of "
        "16-bit instructions are left out",
    ),
    "cortex-m55": Timing(
        *(2, 2, 1, 1, 1, 2, 1),
        "assumed: Helium takes two cycles for 128 bits (Cortex-M55 TRM, 101051), and so do "
        "all loads and stores, most being Helium's; else one instruction a cycle, the LE that "
        "closes a low-overhead loop included; a gather counts as any load but may take 16 cycles: "
        "a lower bound for kernels that gather",
    ),
}


def estimate_cycles(target: str, classes: Mapping[str, float]) -> int:
    """Return the estimated cycles of instructions by class, as in `emulation.LayerRun.classes`.

    Example:
        >>> estimate_cycles("cortex-m4", {"load": 10, "multiply": 5, "other": 20})
        45
    """
    timing = TIMINGS[target]
    return round(sum(count * timing.of_class(name) for name, count in classes.items()))
