"""Convert arrays of samples to the inputs of inferences, and outputs back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.converters.tflite import types as tensor_types
from tflm_sparsesep.converters.tflite.editor import Tensor

Array = npt.NDArray[Any]


def split_inputs(inputs: Array | Sequence[Array], tensors: Sequence[Tensor]) -> list[Array]:
    """Return model inputs as arrays [inferences, *tensor.shape], in the tensors' dtypes.

    Args:
        inputs: one array for a model with one input, else a list with one array per input.
            A tensor [batch, ...] takes samples [n, ...] with n a multiple of batch, or whole
            inferences [n, batch, ...]. Floats for an integer tensor are quantized.
        tensors: the model's inputs.

    Raises:
        ConfigError: the number, shapes or dtypes of the arrays do not fit the model.
    """
    arrays = [np.asarray(inputs)] if isinstance(inputs, np.ndarray) else list(inputs)
    if len(arrays) != len(tensors):
        raise ConfigError(
            f"{len(arrays)} input array(s) given, the model takes {len(tensors)} "
            "(one array, or a list with one array per input)"
        )
    split = [
        _to_dtype(_by_inference(np.asarray(array), tensor), tensor)
        for array, tensor in zip(arrays, tensors, strict=True)
    ]
    counts = [len(array) for array in split]
    if len(set(counts)) > 1:
        raise ConfigError(f"the inputs hold {counts} inferences; accepted: equally many")
    return split


def join_outputs(outputs: Array, tensor: Tensor, batch: int) -> Array:
    """Return outputs [inferences, *shape] as samples [inferences * batch, ...].

    An output without the batch as its first dimension stays [inferences, *shape].
    """
    if outputs.ndim >= 2 and tensor.shape and outputs.shape[1] == batch:
        return outputs.reshape(len(outputs) * batch, *outputs.shape[2:])
    return outputs


def batch_of(tensors: Sequence[Tensor]) -> int:
    """Return the samples per inference: the first dimension of the model's first input."""
    return tensors[0].shape[0] if tensors and tensors[0].shape else 1


def quantize_values(values: Array, scale: float, zero_point: int, dtype: npt.DTypeLike) -> Array:
    """Return round(values / scale) + zero_point, saturated to `dtype`.

    TFLite's QUANTIZE does the same: the quotient is float32, halves round away from zero.
    """
    quotient = (np.asarray(values, np.float32) / np.float32(scale)).astype(np.float64)
    rounded = np.trunc(quotient + np.copysign(0.5, quotient)) + zero_point
    limits = np.iinfo(np.dtype(dtype))
    saturated: Array = np.clip(rounded, limits.min, limits.max).astype(dtype)
    return saturated


def dequantize(values: Array, tensor: Tensor) -> Array:
    """Return scale * (values - zero_point) as float32; without a scale, `values` unchanged."""
    parameters = _per_tensor_parameters(tensor)
    if parameters is None:
        return values
    scale, zero_point = parameters
    return ((values.astype(np.float64) - zero_point) * scale).astype(np.float32)


def _by_inference(array: Array, tensor: Tensor) -> Array:
    """Return `array` as [inferences, *tensor.shape]."""
    shape = tensor.shape
    batch, sample = (shape[0], shape[1:]) if shape else (1, ())
    if array.ndim == len(shape) + 1 and array.shape[1:] == shape:
        inferences = array
    elif batch and array.shape[1:] == sample and array.ndim and len(array) % batch == 0:
        inferences = array.reshape(len(array) // batch, *shape)
    else:
        first = "n" if batch == 1 else f"a multiple of {batch}"
        accepted = ", ".join([first, *map(str, sample)] if batch else ["n", *map(str, shape)])
        raise ConfigError(
            f"input {tensor.name!r}: shape {list(array.shape)} given, accepted: [{accepted}]"
        )
    if len(inferences) == 0:
        raise ConfigError(f"input {tensor.name!r}: no samples given, accepted: at least one")
    return inferences


def _to_dtype(array: Array, tensor: Tensor) -> Array:
    """Return `array` in the dtype of `tensor`; floats are quantized for an integer dtype."""
    dtype = tensor_types.numpy_dtype(tensor.type)
    if array.dtype == dtype:
        return np.ascontiguousarray(array)
    is_float = np.issubdtype(array.dtype, np.floating)
    if is_float and np.issubdtype(dtype, np.floating):
        return np.ascontiguousarray(array, dtype)
    parameters = _per_tensor_parameters(tensor) if is_float else None
    if parameters is None:
        accepted = str(dtype)
        if dtype != np.float32 and _per_tensor_parameters(tensor) is not None:
            accepted += " or float32, which is quantized"
        raise ConfigError(f"input {tensor.name!r}: dtype {array.dtype} given, accepted: {accepted}")
    if not np.isfinite(array).all():
        raise ConfigError(f"input {tensor.name!r}: NaN or infinite values cannot be quantized")
    return quantize_values(array, *parameters, dtype)


def _per_tensor_parameters(tensor: Tensor) -> tuple[float, int] | None:
    """Return scale and zero point of an integer tensor; None unless it has one scale."""
    quantization = tensor.quantization
    is_integer = np.issubdtype(tensor_types.numpy_dtype(tensor.type), np.integer)
    if quantization is None or not is_integer or len(quantization.scales) != 1:
        return None
    return float(quantization.scales[0]), tensor.zero_point
