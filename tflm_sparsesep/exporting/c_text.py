"""C++ source text: arrays of bytes and numbers."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

C_TYPES = {
    "bool": "bool",
    "float32": "float",
    **{f"int{bits}": f"int{bits}_t" for bits in (8, 16, 32, 64)},
    **{f"uint{bits}": f"uint{bits}_t" for bits in (8, 16, 32)},
}
"""The C++ type of each numpy dtype that a tensor can have."""


def values_text(array: npt.NDArray[Any]) -> str:
    """Return the elements of an array as the inside of an initializer, in lines of 80 columns."""
    return _wrapped(_literal(value) for value in array.ravel())


def bytes_text(data: bytes) -> str:
    """Return bytes as the inside of an initializer, 16 in a line."""
    rows = (data[start : start + 16] for start in range(0, len(data), 16))
    return "\n".join("    " + " ".join(f"0x{byte:02x}," for byte in row) for row in rows)


def _literal(value: Any) -> str:
    if isinstance(value, np.floating):
        return f"{float(value)!r}f" if np.isfinite(value) else _not_finite(float(value))
    if isinstance(value, np.bool_):
        return "true" if value else "false"
    # The most negative int32 and int64 have no literal.
    number = int(value)
    return f"{number + 1} - 1" if number in (-(2**31), -(2**63)) else str(number)


def _not_finite(value: float) -> str:
    return "NAN" if value != value else ("INFINITY" if value > 0 else "-INFINITY")


def _wrapped(literals: Iterable[str]) -> str:
    text = ", ".join(literals)
    return textwrap.fill(text, 80, initial_indent="    ", subsequent_indent="    ")
