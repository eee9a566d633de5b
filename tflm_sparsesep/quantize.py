"""Keras model to .tflite: the only place that calls TensorFlow's converter."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.errors import ConfigError, ModelError, ToolMissingError
from tflm_sparsesep.runtime.quiet import quiet

Array = npt.NDArray[Any]
RepresentativeDataset = Array | Sequence[Array] | Callable[[], Iterable[Any]]

_DTYPES = ("int8", "float32")


def quantize(
    model: Any,
    representative_dataset: RepresentativeDataset | None = None,
    *,
    dtype: str = "int8",
) -> bytes:
    """Converts a Keras model to the bytes of a .tflite model with a batch of 1.

    Whatever batch the model was made with, the result has a fixed batch of 1: with an open one,
    TensorFlow computes shapes at run time (SHAPE, PACK), which a microcontroller pays for.

    Args:
        model: a Keras 3 model, functional, sequential or subclassed; it stays as it is.
        representative_dataset: typical inputs, which set the scales of all activations: an array
            [samples, ...]; or, for several inputs, a list of such arrays in the order of
            `model.inputs`; or a function that returns an iterable of samples, each an array, or
            a list with one array per input, with or without a leading batch of 1. 100 to 500
            samples are plenty. Required for int8, and where the model does not tell its shape.
        dtype: "int8" (weights, activations, inputs and outputs; weights per channel) or
            "float32".

    Returns:
        The flatbuffer. Zero weights stay exactly zero: int8 weights are symmetric.

    Raises:
        ConfigError: the dataset or dtype is not accepted.
        ModelError: TensorFlow cannot convert the model.
        ToolMissingError: TensorFlow is not installed.

    Example:
        >>> tflite = quantize(model, x_train[:200])  # doctest: +SKIP
    """
    if dtype not in _DTYPES:
        raise ConfigError(f"dtype={dtype!r}; accepted: {', '.join(_DTYPES)}")
    if representative_dataset is None and dtype == "int8":
        raise ConfigError(
            "representative_dataset is missing; int8 needs typical inputs, for instance x[:200]"
        )
    with quiet():
        _import_tensorflow()
    inputs = _symbolic_inputs(model)
    # All samples are read before the converter starts, so that every fault gets a clear line.
    samples = [] if representative_dataset is None else _read(representative_dataset, inputs)
    shapes = _shapes(inputs, samples)
    with quiet():
        try:
            return _convert(_with_batch_of_one(model, inputs, shapes, samples), samples, dtype)
        except Exception as error:  # the converter raises whatever its many parts raise
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ModelError(
                f"Keras model {getattr(model, 'name', '?')!r} cannot be converted to {dtype} "
                f".tflite: {reason}"
            ) from error


def _import_tensorflow() -> Any:
    try:
        import tensorflow
    except ImportError as error:
        raise ToolMissingError(
            f"quantising a Keras model needs TensorFlow ({error}): "
            "pip install 'tflm-sparsesep[keras]'"
        ) from error
    return tensorflow


def _symbolic_inputs(model: Any) -> list[Any]:
    """The model's inputs in order; none for a subclassed model, which does not declare them."""
    return list(getattr(model, "inputs", None) or [])


def _read(dataset: RepresentativeDataset, inputs: Sequence[Any]) -> list[list[Array]]:
    """The samples, each a list with one array [1, ...] per input."""
    samples = [
        [_check(part, inputs[i] if inputs else None) for i, part in enumerate(sample)]
        for sample in _iterate(dataset, len(inputs))
    ]
    if not samples:
        raise ConfigError("representative_dataset is empty; accepted: at least one sample")
    first = [part.shape for part in samples[0]]
    for sample in samples:
        if [part.shape for part in sample] != first:
            raise ConfigError(
                f"representative_dataset holds samples of shapes {first} and "
                f"{[part.shape for part in sample]}; accepted: the same for all"
            )
    return samples


def _iterate(dataset: RepresentativeDataset, count: int) -> Iterator[list[Any]]:
    """Samples as lists with one array per input; `count` is 0 where that is not known."""
    if callable(dataset):
        for sample in dataset():
            parts = list(sample) if isinstance(sample, list | tuple) else [sample]
            _check_count(len(parts), count)
            yield parts
        return
    arrays = [np.asarray(a) for a in (dataset if isinstance(dataset, list | tuple) else [dataset])]
    _check_count(len(arrays), count)
    lengths = {array.shape[0] if array.ndim else 0 for array in arrays}
    if len(lengths) > 1:
        raise ConfigError(
            f"representative_dataset has {sorted(lengths)} samples for its inputs; "
            "accepted: equally many"
        )
    for index in range(min(lengths)):
        yield [array[index : index + 1] for array in arrays]


def _check_count(received: int, expected: int) -> None:
    if expected and received != expected:
        raise ConfigError(
            f"representative_dataset has {received} array(s) per sample, the model has {expected} "
            "input(s); accepted: an array, or a list with one array per input"
        )


def _check(part: Any, spec: Any | None) -> Array:
    """One input of one sample as a finite array [1, ...] that fits the model's input `spec`."""
    array = np.asarray(part)
    shape = array.shape
    if array.dtype.kind not in "biuf":
        raise ConfigError(
            f"representative_dataset holds values of type {array.dtype}; accepted: numbers"
        )
    if not np.all(np.isfinite(array)):
        raise ConfigError("representative_dataset holds NaN or infinity; accepted: finite numbers")
    if spec is None:
        array = array if array.dtype.kind != "f" else array.astype(np.float32)
        wanted: tuple[int | None, ...] = (1, *array.shape[1:])
    else:
        array = array.astype(spec.dtype)
        wanted = (1, *spec.shape[1:])
        if array.ndim == len(wanted) - 1:
            array = array[np.newaxis]
    if array.ndim != len(wanted) or any(
        w not in (None, a) for w, a in zip(wanted, array.shape, strict=True)
    ):
        raise ConfigError(
            f"representative_dataset holds a sample of shape {shape}, the model takes "
            f"{wanted} (None: any size)"
        )
    return array


def _shapes(inputs: Sequence[Any], samples: Sequence[Sequence[Array]]) -> list[tuple[int, ...]]:
    """The fixed shape [1, ...] of each input."""
    if samples:
        return [part.shape for part in samples[0]]
    shapes = [(1, *spec.shape[1:]) for spec in inputs]
    if not shapes or any(None in shape for shape in shapes):
        raise ConfigError(
            "the model does not tell the shape of its inputs; give representative_dataset, "
            "whose first sample does"
        )
    return shapes


def _with_batch_of_one(
    model: Any,
    inputs: Sequence[Any],
    shapes: Sequence[tuple[int, ...]],
    samples: Sequence[Sequence[Array]],
) -> Any:
    """A functional model around `model`, sharing its weights, whose inputs have fixed shapes."""
    import keras

    if inputs:
        fixed = [
            keras.Input(batch_shape=shape, dtype=spec.dtype, name=spec.name)
            for spec, shape in zip(inputs, shapes, strict=True)
        ]
        # A Sequential model has one input, and no `input` attribute before its first call.
        sequential = isinstance(model, keras.Sequential)
        arguments = fixed[0] if sequential else keras.tree.pack_sequence_as(model.input, fixed)
    else:
        fixed = [keras.Input(batch_shape=part.shape, dtype=part.dtype.name) for part in samples[0]]
        arguments = fixed if len(fixed) > 1 else fixed[0]
    return keras.Model(fixed, model(arguments), name=model.name)


def _convert(model: Any, samples: Sequence[Sequence[Array]], dtype: str) -> bytes:
    tf = _import_tensorflow()
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if dtype == "int8":
        # By name: the converter does not keep the order of the inputs.
        names = [tensor.name for tensor in model.inputs]
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: (
            dict(zip(names, sample, strict=True)) for sample in samples
        )
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.int8
        converter.inference_output_type = tf.int8
    return bytes(converter.convert())
