"""Sparsity of the activations that enter a model's layers, measured in TFLM."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

import numpy as np

from tflm_sparsesep.converters.errors import DeviceError
from tflm_sparsesep.converters.tflite import editor, names
from tflm_sparsesep.converters.tflite.editor import BuiltinOperator, Tensor, TensorType
from tflm_sparsesep.runtime.inference import tensor_values
from tflm_sparsesep.runtime.litert import Array

MAX_SAMPLES = 50
"""Number of samples that are run; more would change the result little."""

_OPERATORS = (BuiltinOperator.FULLY_CONNECTED, BuiltinOperator.CONV_2D)


def input_sparsity_tflm(
    tflite: bytes, samples: Sequence[Array], *, name: str = "model"
) -> dict[str, float]:
    """Return the fraction of elements at the zero_point in each int8 layer's input, by tensor name.

    Empty without samples, without such layers, and where TFLM is not installed or lacks an operator
    of the model. Every input then counts as free of zeros, which is always safe.

    Args:
        tflite: the bytes of a .tflite file.
        samples: one array [n, ...] per model input, in the file's order; the first `MAX_SAMPLES`
            run through TFLM.
        name: the name of the model in errors.

    Raises:
        ModelError: the bytes are not a usable model.
        ConfigError: the samples do not fit the model.
    """
    if not samples or importlib.util.find_spec("tflite_micro") is None:
        return {}
    model = editor.read(tflite, name=name)
    names.make_unique(model)
    main = model.subgraphs[0]
    entering = [op.inputs[0] for op in main.operators if op.builtin_code in _OPERATORS]
    tensors = [t for t in entering if t is not None and _is_int8(t)]
    if not tensors:
        return {}
    indices = [main.tensors.index(tensor) for tensor in tensors]
    first = [np.asarray(array)[:MAX_SAMPLES] for array in samples]
    try:
        values = tensor_values(tflite, model, indices, first)
    except DeviceError:
        return {}
    return {
        tensor.name: float(np.mean(value == tensor.zero_point))
        for tensor, value in zip(tensors, values, strict=True)
    }


def _is_int8(tensor: Tensor) -> bool:
    return tensor.type == TensorType.INT8 and tensor.quantization is not None
