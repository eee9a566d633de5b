"""The elements of each TFLite tensor type: their numpy dtype and their size in bits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from ai_edge_litert.schema_py_generated import TensorType

# Schema name -> (numpy dtype of the stored bytes, bits per element). The dtype is None if elements
# have no fixed size, unsigned words for types that numpy lacks, and bytes for types that are packed
# into them.
_NUMPY = (
    *("FLOAT16", "FLOAT32", "FLOAT64", "COMPLEX64", "COMPLEX128"),
    *("INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64"),
)
_TYPES: dict[str, tuple[Any, int]] = {
    **{name: (np.dtype(name.lower()), 8 * np.dtype(name.lower()).itemsize) for name in _NUMPY},
    **dict.fromkeys(("STRING", "RESOURCE", "VARIANT"), (None, 0)),
    "BOOL": (np.bool_, 8),
    "BFLOAT16": (np.uint16, 16),
    **dict.fromkeys(("FLOAT8_E4M3FN", "FLOAT8_E5M2"), (np.uint8, 8)),
    **dict.fromkeys(("INT4", "UINT4"), (np.uint8, 4)),
    "INT2": (np.uint8, 2),
}

NAMES: dict[int, str] = {
    value: name for name, value in vars(TensorType).items() if not name.startswith("_")
}
"""The names of the tensor types in the installed schema, by number."""


def numpy_dtype(tensor_type: int) -> np.dtype[Any]:
    """Return the dtype of a tensor's stored data; uint8 if elements have no fixed size."""
    dtype, _ = _TYPES.get(NAMES.get(tensor_type, ""), (None, 0))
    return np.dtype(np.uint8 if dtype is None else dtype)


def element_bits(tensor_type: int) -> int:
    """Return the bits per element; 0 if elements have no fixed size or the type is unknown."""
    return _TYPES.get(NAMES.get(tensor_type, ""), (None, 0))[1]


def byte_size(tensor_type: int, shape: Sequence[int]) -> int | None:
    """Return the bytes of a dense tensor, including the padding of packed types.

    None if elements have no fixed size (STRING, RESOURCE, VARIANT).
    """
    bits = element_bits(tensor_type)
    if bits == 0:
        return None
    return (math.prod(int(dim) for dim in shape) * bits + 7) // 8


def from_dtype(dtype: np.dtype[Any]) -> int:
    """Return the tensor type whose elements are `dtype`. Raises ValueError if there is none."""
    for name, (candidate, bits) in _TYPES.items():
        exact = candidate is not None and bits == 8 * np.dtype(candidate).itemsize
        if exact and np.dtype(candidate) == dtype and hasattr(TensorType, name):
            return int(getattr(TensorType, name))
    raise ValueError(f"no tensor type stores numpy dtype {dtype}")
