"""What a trained model is worth: accuracy as float and as int8 in TFLM, and bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from data import Data

import tflm_sparsesep as ts
from tflm_sparsesep.converters import op_names
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import BuiltinOperator

TARGET = "cortex-m4"
_CALIBRATION_SAMPLES = 200
_LAYERS = (BuiltinOperator.FULLY_CONNECTED, BuiltinOperator.CONV_2D)


def evaluate(model: Any, data: Data) -> dict[str, Any]:
    """The measured fields of a run; both accuracies on all test samples.

    Raises RuntimeError as `convert` does.
    """
    result = convert(model, data)
    return {
        "float_accuracy": round(float_accuracy(model, data), 5),
        "int8_tflm_accuracy": int8_accuracy(result.tflite, data),
        "packed_bytes": weight_bytes(result.tflite),
    }


def convert(model: Any, data: Data) -> ts.ConvertResult:
    """The converted model, its scales from training samples.

    Raises RuntimeError for a network that gives the same for every sample: activations that are
    all 0 get a scale at which TFLM ends the whole process.
    """
    calibration = data.x_train[:_CALIBRATION_SAMPLES]
    if np.ptp(model.predict(calibration, batch_size=1000, verbose=0), axis=0).max() == 0:
        raise RuntimeError(f"{model.name}: the outputs are the same for every sample")
    return ts.convert(model, representative_dataset=calibration, target=TARGET)


def int8_accuracy(tflite: bytes, data: Data) -> float:
    """The fraction of test samples that a file gets right in TFLM."""
    (scores,) = ts.run(tflite, data.x_test, runtime="tflm", progress=False)
    return round(_accuracy(scores, data.y_test), 5)


def float_accuracy(model: Any, data: Data) -> float:
    """The fraction of test samples that the Keras model gets right."""
    return _accuracy(model.predict(data.x_test, batch_size=1000, verbose=0), data.y_test)


def weight_bytes(tflite: bytes) -> int:
    """Bytes of all layers' constants: packed where that pays, else weights and bias."""
    return sum(
        tensor.buffer.data.nbytes
        for op in editor.read(tflite).operators
        if op.builtin_code in _LAYERS or op.custom_code in op_names.ALL
        for tensor in op.inputs[1:]
        if tensor is not None and tensor.buffer
    )


def _accuracy(scores: npt.NDArray[Any], labels: npt.NDArray[Any]) -> float:
    return float(np.mean(scores.reshape(len(scores), -1).argmax(axis=1) == labels))
