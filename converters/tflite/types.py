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
_TYPES: dict[str, tuple[Any, int]] = {
    "FLOAT32": (np.float32, 32),
    "FLOAT16": (np.float16, 16),
    "INT32": (np.int32, 32),
    "UINT8": (np.uint8, 8),
    "INT64": (np.int64, 64),
    "STRING": (None, 0),
    "BOOL": (np.bool_, 8),
    "INT16": (np.int16, 16),
    "COMPLEX64": (np.complex64, 64),
    "INT8": (np.int8, 8),
    "FLOAT64": (np.float64, 64),
    "COMPLEX128": (np.complex128, 128),
    "UINT64": (np.uint64, 64),
    "RESOURCE": (None, 0),
    "VARIANT": (None, 0),
    "UINT32": (np.uint32, 32),
    "UINT16": (np.uint16, 16),
    "INT4": (np.uint8, 4),
    "BFLOAT16": (np.uint16, 16),
    "INT2": (np.uint8, 2),
    "UINT4": (np.uint8, 4),
    "FLOAT8_E4M3FN": (np.uint8, 8),
    "FLOAT8_E5M2": (np.uint8, 8),
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
