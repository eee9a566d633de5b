"""Arrays of samples into what one inference takes, and back."""

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
    """Model inputs as arrays [inferences, *tensor.shape], in the tensors' dtypes.

    Args:
        inputs: one array for a model with one input, else a list with one array per input.
            A tensor [batch, ...] takes samples [n, ...] with n a multiple of batch, or whole
            inferences [n, batch, ...]. Floats for an integer tensor are quantised.
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
        raise ConfigError(f"the inputs hold {counts} inferences, they must hold equally many")
    return split


def join_outputs(outputs: Array, tensor: Tensor, batch: int) -> Array:
    """Outputs [inferences, *shape] as samples [inferences * batch, ...].

    An output without the batch as its first dimension stays [inferences, *shape].
    """
    if outputs.ndim >= 2 and tensor.shape and outputs.shape[1] == batch:
        return outputs.reshape(-1, *outputs.shape[2:])
    return outputs


def batch_of(tensors: Sequence[Tensor]) -> int:
    """Samples per inference: the first dimension of the model's first input."""
    return tensors[0].shape[0] if tensors and tensors[0].shape else 1


def quantize(values: Array, scale: float, zero_point: int, dtype: npt.DTypeLike) -> Array:
    """round(values / scale) + zero_point, saturated to `dtype`.

    As TFLite's QUANTIZE does it: the quotient is float32, halves round away from zero.
    """
    quotient = (np.asarray(values, np.float32) / np.float32(scale)).astype(np.float64)
    rounded = np.trunc(quotient + np.copysign(0.5, quotient)) + zero_point
    limits = np.iinfo(np.dtype(dtype))
    saturated: Array = np.clip(rounded, limits.min, limits.max).astype(dtype)
    return saturated


def dequantize(values: Array, tensor: Tensor) -> Array:
    """scale * (values - zero_point) as float32; values of a tensor without scale unchanged."""
    parameters = _per_tensor_parameters(tensor)
    if parameters is None:
        return values
    scale, zero_point = parameters
    return ((values.astype(np.float64) - zero_point) * scale).astype(np.float32)


def _by_inference(array: Array, tensor: Tensor) -> Array:
    """`array` as [inferences, *tensor.shape]."""
    shape = tensor.shape
    batch, sample = (shape[0], shape[1:]) if shape else (1, ())
    if array.ndim == len(shape) + 1 and array.shape[1:] == shape:
        inferences = array
    elif array.ndim == len(sample) + 1 and array.shape[1:] == sample and len(array) % batch == 0:
        inferences = array.reshape(-1, *shape)
    else:
        first = "n" if batch == 1 else f"a multiple of {batch}"
        accepted = ", ".join([first, *map(str, sample)])
        raise ConfigError(
            f"input {tensor.name!r}: shape {list(array.shape)} given, accepted: [{accepted}]"
        )
    if len(inferences) == 0:
        raise ConfigError(f"input {tensor.name!r}: no samples given, at least one is needed")
    return inferences


def _to_dtype(array: Array, tensor: Tensor) -> Array:
    """`array` in the dtype of `tensor`; floats are quantised where that is an integer."""
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
            accepted += " or float32, which is quantised"
        raise ConfigError(f"input {tensor.name!r}: dtype {array.dtype} given, accepted: {accepted}")
    if not np.isfinite(array).all():
        raise ConfigError(f"input {tensor.name!r}: NaN or infinite values cannot be quantised")
    return quantize(array, *parameters, dtype)


def _per_tensor_parameters(tensor: Tensor) -> tuple[float, int] | None:
    """Scale and zero point of an integer tensor, None where it has not exactly one of each."""
    quantization = tensor.quantization
    is_integer = np.issubdtype(tensor_types.numpy_dtype(tensor.type), np.integer)
    if quantization is None or not is_integer or len(quantization.scales) != 1:
        return None
    zero_point = quantization.zero_points[0] if len(quantization.zero_points) else 0
    return float(quantization.scales[0]), int(zero_point)
