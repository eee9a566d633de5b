"""Executed instructions of what a residual adds to SPARSE_CONV_2D on a target.

The coefficients are in `data/residual.json`, which names the command that measures them again.
"""

from __future__ import annotations

from tflm_sparsesep.converters.cost.data import load

FILE = "residual.json"


def instructions(target: str, elements: int) -> int:
    """Return the instructions of adding a tensor of so many elements to the outputs."""
    found: dict[str, float] = load(FILE)["targets"][target]["instructions"]
    return round(found["per_element"] * elements + found["per_call"])
