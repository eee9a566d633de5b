"""Element types: sizes and numpy dtypes."""

from __future__ import annotations

import numpy as np
import pytest

from tflm_sparsesep.converters.tflite import types
from tflm_sparsesep.converters.tflite.editor import TensorType


@pytest.mark.parametrize(
    ("name", "shape", "size"),
    [("FLOAT32", (2, 3), 24), ("INT8", (5,), 5), ("INT4", (3,), 2), ("BOOL", (), 1)],
)
def test_byte_sizes(name: str, shape: tuple[int, ...], size: int) -> None:
    assert types.byte_size(getattr(TensorType, name), shape) == size


def test_types_without_a_fixed_size() -> None:
    assert types.byte_size(TensorType.STRING, (2,)) is None
    assert types.element_bits(TensorType.RESOURCE) == 0
    assert types.numpy_dtype(TensorType.STRING) == np.uint8
    assert types.element_bits(10_000) == 0


def test_every_type_of_the_schema_is_known() -> None:
    unknown = [name for number, name in types.NAMES.items() if name not in types._TYPES]
    assert unknown == []


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.float32, np.uint8, np.bool_])
def test_dtypes_and_types_correspond(dtype: type) -> None:
    assert types.numpy_dtype(types.from_dtype(np.dtype(dtype))) == dtype


def test_a_dtype_without_a_type_is_an_error() -> None:
    with pytest.raises(ValueError, match="no tensor type stores numpy dtype object"):
        types.from_dtype(np.dtype(object))
