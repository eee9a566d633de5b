"""Models as users give them: the one place that tells .tflite files from Keras models."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tflm_sparsesep.converters.errors import ConfigError, ModelError, ToolMissingError
from tflm_sparsesep.converters.rewrite import written
from tflm_sparsesep.converters.tflite import editor, names
from tflm_sparsesep.converters.tflite.dense_constants import make_dense
from tflm_sparsesep.runtime import files
from tflm_sparsesep.runtime.quiet import quiet
from tflm_sparsesep.runtime.representative_dataset import (
    Array,
    RepresentativeDataset,
    arrays_of,
    tflite_inputs,
)
from tflm_sparsesep.training.keras_model import check_keras_model

_OLD_KERAS = (".h5", ".hdf5")


@dataclass(frozen=True)
class ModelInput:
    """A model as it was given: a .tflite file or a Keras model.

    Attributes:
        name: what errors call it.
        tflite: the file's bytes; None for a Keras model.
        keras: the Keras model; None for a file.
    """

    name: str
    tflite: bytes | None = None
    keras: Any = None

    @classmethod
    def of(cls, model: Any, *, name: str | None = None) -> ModelInput:
        """Recognize what every verb takes as a model.

        Args:
            model: the bytes or the path of a .tflite file, a Keras model, or the path of a .keras
                file.
            name: what errors call it; by default the path, or "model".

        Raises:
            ModelError: the file cannot be read.
            ConfigError: `model` is of another type.
            ToolMissingError: a .keras file without Keras.
        """
        if isinstance(model, bytes | bytearray | memoryview):
            return cls(name or "model", tflite=bytes(model))
        if isinstance(model, str | Path):
            path, name = Path(model), name or str(model)
            if path.suffix == ".keras":
                return cls(name, keras=_load_keras(path))
            if path.suffix in _OLD_KERAS or (path / "saved_model.pb").is_file():
                raise ModelError(
                    f"{name}: neither a .tflite nor a .keras file; accepted after "
                    'keras.models.load_model and model.save("model.keras")'
                )
            return cls(name, tflite=files.read_model(path))
        if not (hasattr(model, "layers") and hasattr(model, "get_weights")):
            raise ConfigError(
                f"model is of type {type(model).__name__}, expected: a Keras model, or the bytes "
                "or the path of a .tflite or .keras file"
            )
        check_keras_model(model)
        return cls(name or "model", keras=model)

    def to_tflite(self) -> bytes:
        """Return the file's bytes; those of the float32 file that a Keras model becomes.

        Raises:
            ModelError: TensorFlow cannot convert the Keras model.
            ToolMissingError: a Keras model without TensorFlow.
        """
        if self.tflite is not None:
            return self.tflite
        from tflm_sparsesep.quantize import quantize

        return quantize(self.keras, dtype="float32")


@dataclass(frozen=True)
class CalibratedModel:
    """A .tflite model and samples for it.

    Attributes:
        tflite: the file.
        samples: one array [n, ...] per input, in the order of the file's inputs; empty where none
            were given.
        name: what errors call the model.
    """

    tflite: bytes
    samples: list[Array]
    name: str


def calibrate(
    model: Any,
    representative_dataset: RepresentativeDataset | None,
    *,
    name: str | None = None,
    limit: int | None = None,
) -> CalibratedModel:
    """Quantize Keras models to int8, leave .tflite files as they are, put samples into order.

    Args:
        model: as for `ModelInput.of`.
        representative_dataset: samples such as the model will meet, in any form
            (`RepresentativeDataset`). They set the scales of activations in Keras models.
        name: what errors call the model; by default the path, or "model".
        limit: of a .tflite file, read at most this many samples.

    Raises:
        ModelError: the model cannot be read or quantized.
        ConfigError: an argument is not accepted.
        ToolMissingError: what quantizes the model is not installed.
    """
    given = ModelInput.of(model, name=name)
    if given.tflite is None:
        from tflm_sparsesep.quantize import quantize_with_samples

        return CalibratedModel(
            *quantize_with_samples(given.keras, representative_dataset), given.name
        )
    if representative_dataset is None:
        return CalibratedModel(given.tflite, [], given.name)
    inputs = tflite_inputs(editor.read(given.tflite, name=given.name))
    samples = arrays_of(representative_dataset, inputs, limit=limit)
    return CalibratedModel(given.tflite, samples, given.name)


def int8_input(
    model: Any, representative_dataset: RepresentativeDataset, *, name: str | None = None
) -> CalibratedModel:
    """Do what `calibrate` does, with the same errors, and quantize float32 .tflite files, too.

    A file whose metadata `read` mends is written again, since LiteRT refuses it as it is, and so is
    one whose tensors share names, or whose constants are sparse or float16.
    """
    found = calibrate(model, representative_dataset, name=name)
    from tflm_sparsesep.quantize_tflite import is_float, quantize_tflite

    parsed = editor.read(found.tflite, name=found.name)
    changed = make_dense(parsed) or parsed.is_mended
    if not is_float(parsed):
        changed = names.make_unique(parsed) or changed
    data = written(parsed, found.tflite) if changed else found.tflite
    if is_float(parsed):
        data = quantize_tflite(data, found.samples, name=found.name)
    return CalibratedModel(data, found.samples, found.name)


def _load_keras(path: Path) -> Any:
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
