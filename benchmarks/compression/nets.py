"""Trained float networks of the accuracy benchmark, as float32 and int8 .tflite files."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

ACCURACY = Path(__file__).parents[1] / "accuracy"
BUILD = Path(__file__).parents[2] / "build/compression"
CALIBRATION_SAMPLES = 200
# Of Adam for networks that the accuracy benchmark has not trained yet.
LEARNING_RATE = 2e-3
sys.path.insert(0, str(ACCURACY))


@dataclass(frozen=True)
class Net:
    """A network and its data: x_train float32[n, ...], x_test and its labels."""

    name: str
    float32: bytes
    int8: bytes
    float_accuracy: float
    x_train: npt.NDArray[np.float32]
    x_test: npt.NDArray[np.float32]
    y_test: npt.NDArray[np.int32]


def load(name: str) -> Net:
    """From build/compression, made there first where it is missing."""
    import data
    from models import MODELS

    model = MODELS[name]
    raw = data.load(model.dataset)
    shape = (-1, *model.input_shape)
    x_train, x_test = raw.x_train.reshape(shape), raw.x_test.reshape(shape)
    files = [BUILD / f"{name}{end}" for end in (".float32.tflite", ".int8.tflite", ".json")]
    if not all(path.exists() for path in files):
        BUILD.mkdir(parents=True, exist_ok=True)
        made = _make(name, x_train, x_test, raw.y_test)
        for path, content in zip(files, made, strict=True):
            path.write_bytes(content)
    accuracy = json.loads(files[2].read_text())["float_accuracy"]
    parts = (files[0].read_bytes(), files[1].read_bytes(), accuracy)
    return Net(name, *parts, x_train, x_test, raw.y_test)


def keras_model(name: str) -> Any:
    """The float network: weights of the accuracy benchmark, or trained here, once."""
    import keras
    from models import MODELS
    from training import prepare_tensorflow

    prepare_tensorflow()
    keras.utils.clear_session()  # names of layers, which take bytes of a file, count from 1
    keras.utils.set_random_seed(0)
    model = MODELS[name].build(keras)
    weights = next((path for path in _weights_files(name) if path.exists()), None)
    if weights is not None:
        saved = np.load(weights)
        model.set_weights([saved[key] for key in saved.files])
        return model
    _train(name, model)
    BUILD.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(_weights_files(name)[-1], *model.get_weights())
    return model


def _train(name: str, model: Any) -> None:
    """By the recipe of the accuracy benchmark."""
    import data
    import keras
    from models import MODELS
    from training import Recipe, fit

    spec = MODELS[name]
    raw = data.load(spec.dataset)
    x = raw.x_train.reshape(-1, *spec.input_shape)
    fit(keras, model, x, raw.y_train, Recipe(spec.epochs, spec.batch_size, LEARNING_RATE), 0)


def _weights_files(name: str) -> list[Path]:
    accuracy = ACCURACY.parents[1] / f"build/accuracy/weights/{name}-dense-seed0-v1.npz"
    return [accuracy, BUILD / f"{name}.npz"]


def _make(name: str, x_train: Any, x_test: Any, y_test: Any) -> tuple[bytes, bytes, bytes]:
    """Both files and the float accuracy as JSON."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from tflm_sparsesep.quantize import quantize

    model = keras_model(name)
    scores = model.predict(x_test, batch_size=1000, verbose=0)
    is_known = _weights_files(name)[0].exists()
    accuracy = {
        "float_accuracy": float(np.mean(scores.argmax(axis=1) == y_test)),
        "weights": _weights_files(name)[0].name
        if is_known
        else f"trained here, rate {LEARNING_RATE}",
    }
    calibration = x_train[:CALIBRATION_SAMPLES]
    return (
        quantize(model, calibration[:1], dtype="float32"),
        quantize(model, calibration),
        json.dumps(accuracy).encode(),
    )
