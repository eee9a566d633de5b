"""Tensors of a model that a test knows to be constant or quantized."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from tflm_sparsesep.converters.tflite.editor import Quantization, Tensor


def values_of(tensor: Tensor | None) -> npt.NDArray[Any]:
    """Return the data of a constant tensor."""
    assert tensor is not None
    assert tensor.array is not None
    return tensor.array


def quantization_of(tensor: Tensor | None) -> Quantization:
    """Return the quantization of a quantized tensor."""
    assert tensor is not None
    assert tensor.quantization is not None
    return tensor.quantization
