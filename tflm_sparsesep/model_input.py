"""What a user has, as the full-int8 .tflite that `compress` works on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.errors import ConfigError, ModelError, ToolMissingError
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.runtime import files
from tflm_sparsesep.runtime.quiet import quiet

Array = npt.NDArray[Any]
RepresentativeDataset = Array | list[Array] | Callable[[], Iterable[Any]]


@dataclass(frozen=True)
class CompressInput:
    """A full-int8 model and samples for it.

    Attributes:
        tflite: the file.
        samples: one array [n, ...] per input, in the order of the file's inputs.
        name: what errors call the model.
    """

    tflite: bytes
    samples: list[Array]
    name: str


def compress_input(
    model: Any, representative_dataset: RepresentativeDataset, *, name: str | None = None
) -> CompressInput:
    """Quantises what is not int8 yet.

    Args:
        model: the bytes or the path of an int8 or float32 .tflite file, a Keras model, or the
            path of a .keras file.
        representative_dataset: samples such as the model will meet: an array [n, ...], or a list
            with one array per input in the model's order; for Keras models also a function that
            yields samples (`quantize`). They set the scales of activations where the model is
            quantised here.
        name: what errors call the model; by default the path, or "model".

    Raises:
        ModelError: the model cannot be read or quantised.
        ConfigError: an argument is not accepted.
        ToolMissingError: what quantises the model is not installed.
    """
    if isinstance(model, bytes | bytearray):
        return _of_tflite(bytes(model), representative_dataset, name or "model")
    if isinstance(model, str | Path):
        path = Path(model)
        if path.suffix != ".keras":
            return _of_tflite(files.read_model(path), representative_dataset, name or str(path))
        model, name = load_keras(path), name or str(path)
    if not hasattr(model, "get_weights"):
        raise ConfigError(
            f"model is a {type(model).__name__}, accepted: a Keras model, or the bytes or the "
            "path of a .tflite or .keras file"
        )
    return _of_keras(model, representative_dataset, name or "model")


def load_keras(path: Path) -> Any:
    """The Keras model of a .keras file.

    Raises ModelError where it cannot be read, ToolMissingError without Keras.
    """
    try:
        with quiet():
            import keras
    except ImportError as error:
        raise ToolMissingError(
            f"reading {path} needs Keras ({error}): pip install 'tflm-sparsesep[keras]'"
        ) from error
    try:
        return keras.models.load_model(path, compile=False)
    except Exception as error:  # Keras raises whatever its many parts raise
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(f"{path}: cannot be read as a Keras model: {reason}") from error


def _of_tflite(data: bytes, dataset: RepresentativeDataset, name: str) -> CompressInput:
    if callable(dataset):
        raise ConfigError(
            "representative_dataset is a function, accepted for .tflite models: an array, or a "
            "list with one array per input"
        )
    arrays = dataset if isinstance(dataset, list) else [np.asarray(dataset)]
    from tflm_sparsesep.quantize_tflite import is_float, quantize_tflite

    if is_float(editor.read(data, name=name)):
        data = quantize_tflite(data, arrays, name=name)
    return CompressInput(data, arrays, name)


def _of_keras(model: Any, dataset: RepresentativeDataset, name: str) -> CompressInput:
    from tflm_sparsesep.quantize import quantize

    tflite = quantize(model, dataset)
    return CompressInput(tflite, _in_file_order(tflite, model, _arrays(dataset)), name)


def _arrays(dataset: RepresentativeDataset) -> list[Array]:
    """One array [n, ...] per input of the Keras model."""
    if not callable(dataset):
        return dataset if isinstance(dataset, list) else [np.asarray(dataset)]
    parts = [s if isinstance(s, list | tuple) else [s] for s in dataset()]
    return [np.stack([np.asarray(part) for part in column]) for column in zip(*parts, strict=True)]


def _in_file_order(tflite: bytes, model: Any, arrays: list[Array]) -> list[Array]:
    """The converter does not keep the order of inputs; its signature names them."""
    if len(arrays) == 1:
        return arrays
    parsed = editor.read(tflite)
    by_name = dict(zip((tensor.name for tensor in model.inputs), arrays, strict=True))
    aliases = {id(tensor): alias for alias, tensor in parsed.signatures[0].inputs}
    return [by_name[aliases[id(tensor)]] for tensor in parsed.subgraphs[0].inputs]
