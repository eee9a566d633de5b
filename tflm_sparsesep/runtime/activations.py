"""How many activations of a model are zero, measured on sample inputs in TFLM."""

from __future__ import annotations

import importlib.util
import itertools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from tflm_sparsesep import runtimes
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import BuiltinOperator, Tensor, TensorType

RepresentativeDataset = npt.NDArray[Any] | list[npt.NDArray[Any]] | Callable[[], Iterable[Any]]

_SAMPLES = 50
_OPERATORS = (BuiltinOperator.FULLY_CONNECTED, BuiltinOperator.CONV_2D)


def input_zeros(
    tflite: bytes, samples: RepresentativeDataset | None, *, name: str = "model"
) -> dict[str, float]:
    """For the input of each int8 layer, by tensor name, the share of elements at its zero point.

    Runs up to 50 of `samples` through TFLM. Empty where there are no samples, no such layers, or
    no TFLM on this machine: then every input counts as free of zeros, which is always safe.
    """
    if samples is None or importlib.util.find_spec("tflite_micro") is None:
        return {}
    main = editor.read(tflite, name=name).subgraphs[0]
    entering = [op.inputs[0] for op in main.operators if op.builtin_code in _OPERATORS]
    tensors = [t for t in entering if t is not None and _is_int8(t)]
    if not tensors:
        return {}
    indices = [main.tensors.index(tensor) for tensor in tensors]
    values = runtimes.tensor_values(tflite, indices, _first(samples))
    return {
        tensor.name: float(np.mean(value == _zero_point(tensor)))
        for tensor, value in zip(tensors, values, strict=True)
    }


def _is_int8(tensor: Tensor) -> bool:
    return tensor.type == TensorType.INT8 and tensor.quantization is not None


def _zero_point(tensor: Tensor) -> int:
    assert tensor.quantization is not None  # _is_int8
    points = tensor.quantization.zero_points
    return int(points[0]) if len(points) else 0


def _first(samples: RepresentativeDataset) -> list[npt.NDArray[Any]]:
    """The first samples as one array per model input."""
    if callable(samples):
        first = itertools.islice(samples(), _SAMPLES)
        parts = [list(s) if isinstance(s, list | tuple) else [s] for s in first]
        return [np.concatenate(column) for column in zip(*parts, strict=True)]
    arrays = samples if isinstance(samples, list) else [samples]
    return [np.asarray(array)[:_SAMPLES] for array in arrays]
