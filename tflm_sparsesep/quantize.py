"""Keras model to .tflite: the only place that calls TensorFlow's converter."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tflm_sparsesep.converters.errors import ConfigError, ModelError, ToolMissingError
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.runtime.quiet import quiet
from tflm_sparsesep.runtime.representative_dataset import (
    Array,
    InputSpec,
    RepresentativeDataset,
    arrays_of,
    tflite_inputs,
)

_DTYPES = ("int8", "float32")


def quantize(
    model: Any,
    representative_dataset: RepresentativeDataset | None = None,
    *,
    dtype: str = "int8",
) -> bytes:
    """Convert a Keras model to the bytes of a .tflite model with a batch of 1.

    Whatever batch the model was made with, the result has a fixed batch of 1: with an open one,
    TensorFlow computes shapes at run time (SHAPE, PACK), which a microcontroller pays for.

    Args:
        model: a Keras 3 model, functional, sequential or subclassed; it stays as it is.
        representative_dataset: typical inputs, which set the scales of all activations: an array
            [samples, ...]; for several inputs, a list or tuple of such arrays in the order of
            `model.inputs`, or a dict by input name; or a function that returns an iterable of
            samples, each an array, or a list, tuple or dict with one array per input, with or
            without the batch dimension. 100 to 500 samples are plenty. Required for int8, and
            where the model does not tell its shape.
        dtype: "int8" (weights, activations, inputs and outputs; weights per channel) or
            "float32".

    Returns:
        The flatbuffer. Zero weights stay exactly zero: int8 weights are symmetric.

    Raises:
        ConfigError: the dataset or dtype is not accepted.
        ModelError: TensorFlow cannot convert the model, or weights are not finite.
        ToolMissingError: TensorFlow is not installed.

    Examples:
        >>> tflite = quantize(model, x_train[:200])  # doctest: +SKIP
    """
    return quantize_with_samples(model, representative_dataset, dtype=dtype)[0]


def quantize_with_samples(
    model: Any, representative_dataset: RepresentativeDataset | None, *, dtype: str = "int8"
) -> tuple[bytes, list[Array]]:
    """Return what `quantize` does, and one array [n, ...] of samples for each input of the file."""
    if dtype not in _DTYPES:
        raise ConfigError(f"dtype={dtype!r}; accepted: {', '.join(_DTYPES)}")
    if representative_dataset is None and dtype == "int8":
        raise ConfigError(
            "representative_dataset is missing: a Keras model is quantized to int8 with sample "
            "inputs; expected: for instance x_train[:200]"
        )
    for variable in model.weights:
        if not np.all(np.isfinite(variable.numpy())):
            raise ModelError(f"weights {variable.path!r} of the Keras model hold NaN or infinity")
    with quiet():
        _import_tensorflow()
    inputs = list(getattr(model, "inputs", None) or [])  # a subclassed model declares none
    # All samples are read before the converter starts, so that every fault gets a clear line.
    samples = [] if representative_dataset is None else _read(representative_dataset, inputs)
    shapes = _shapes(inputs, samples)
    with quiet(), _in_float32(model):
        try:
            fixed = _with_batch_of_one(model, inputs, shapes, samples)
            if dtype == "int8":
                _refuse_loops(fixed)
            tflite = _convert(fixed, samples, dtype)
        except ModelError:
            raise
        except Exception as error:  # the converter raises whatever its many parts raise
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ModelError(
                f"Keras model {getattr(model, 'name', '?')!r} cannot be converted to {dtype} "
                f".tflite: {reason}"
            ) from error
    return tflite, _in_file_order(tflite, fixed, samples)


def _import_tensorflow() -> Any:
    try:
        import tensorflow
    except ImportError as error:
        raise ToolMissingError(
            f"quantizing a Keras model needs TensorFlow ({error}): "
            "pip install 'tflm-sparsesep[keras]'"
        ) from error
    return tensorflow


def _read(dataset: RepresentativeDataset, inputs: Sequence[Any]) -> list[Array]:
    """Return the samples, one finite array [n, ...] per input that fits it."""
    specs = [InputSpec((spec.name,), len(spec.shape)) for spec in inputs] or None
    arrays = [
        _check(array, inputs[i] if inputs else None)
        for i, array in enumerate(arrays_of(dataset, specs))
    ]
    lengths = {len(array) for array in arrays}
    if len(lengths) > 1:
        raise ConfigError(
            f"representative_dataset has {sorted(lengths)} samples for its inputs; "
            "accepted: equally many"
        )
    return arrays


def _check(array: Array, spec: Any | None) -> Array:
    """Return the samples of one input in the dtype that the model's input `spec` has."""
    if array.ndim == 0 or len(array) == 0:
        raise ConfigError("representative_dataset is empty; accepted: at least one sample")
    if array.dtype.kind not in "biuf":
        raise ConfigError(
            f"representative_dataset holds values of type {array.dtype}; accepted: numbers"
        )
    if not np.all(np.isfinite(array)):
        raise ConfigError("representative_dataset holds NaN or infinity; accepted: finite numbers")
    if spec is None:
        return array.astype(np.float32) if array.dtype.kind == "f" else array
    shape, wanted = (1, *array.shape[1:]), (1, *spec.shape[1:])
    if len(shape) != len(wanted) or any(
        w not in (None, a) for w, a in zip(wanted, shape, strict=True)
    ):
        raise ConfigError(
            f"representative_dataset holds a sample of shape {shape}, the model takes "
            f"{wanted} (None: any size)"
        )
    return array.astype(spec.dtype)


def _shapes(inputs: Sequence[Any], samples: Sequence[Array]) -> list[tuple[int, ...]]:
    """Return the fixed shape [1, ...] of each input."""
    if samples:
        return [(1, *array.shape[1:]) for array in samples]
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
    samples: Sequence[Array],
) -> Any:
    """Return a functional model around `model` that shares its weights; its shapes are fixed."""
    import keras

    if inputs:
        fixed = [
            keras.Input(batch_shape=shape, dtype=spec.dtype, name=name)
            for spec, shape, name in zip(inputs, shapes, _plain_names(inputs), strict=True)
        ]
        # A Sequential model has one input, and no `input` attribute before its first call.
        sequential = isinstance(model, keras.Sequential)
        arguments = fixed[0] if sequential else keras.tree.pack_sequence_as(model.input, fixed)
    else:
        fixed = [
            keras.Input(batch_shape=shape, dtype=array.dtype.name)
            for shape, array in zip(shapes, samples, strict=True)
        ]
        arguments = fixed if len(fixed) > 1 else fixed[0]
    return keras.Model(fixed, model(arguments), name=model.name)


@contextlib.contextmanager
def _in_float32(model: Any) -> Iterator[None]:
    """Let the layers of a model compute in float32, as the converter needs, whatever they train in.

    The weights of mixed precision are float32.
    """
    import keras

    parts = [model, *model._flatten_layers(include_self=False, recursive=True)]
    mixed = [x for x in parts if x.compute_dtype != x.variable_dtype == "float32"]
    before = [part.dtype_policy for part in mixed]
    try:
        for part in mixed:
            part.dtype_policy = keras.DTypePolicy("float32")
        yield
    finally:
        for part, policy in zip(mixed, before, strict=True):
            part.dtype_policy = policy


def _refuse_loops(model: Any) -> None:
    """Raise ModelError for a model with a loop: TensorFlow's calibrator ends the process there."""
    tf = _import_tensorflow()
    specs = [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in model.inputs]
    graph = tf.function(lambda *inputs: model(list(inputs))).get_concrete_function(*specs).graph
    definition = graph.as_graph_def()
    nodes = [*definition.node, *(n for f in definition.library.function for n in f.node_def)]
    if any(node.op in ("While", "StatelessWhile") for node in nodes):
        raise ModelError(
            f"Keras model {model.name!r} has a loop, which TensorFlow cannot quantize to int8; "
            "accepted: LSTM, GRU and other recurrent layers with unroll=True"
        )


def _plain_names(inputs: Sequence[Any]) -> list[str]:
    """Return the inputs' names, or others if TensorFlow's calibrator does not find one again."""
    names = [spec.name for spec in inputs]
    if all(name.isascii() and name.isidentifier() for name in names):
        return names
    return [f"input_{at}" for at in range(len(names))]


def _convert(model: Any, samples: Sequence[Array], dtype: str) -> bytes:
    tf = _import_tensorflow()
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if dtype == "int8":
        # By name: the converter does not keep the order of the inputs.
        names = [tensor.name for tensor in model.inputs]
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: (
            {name: array[i : i + 1] for name, array in zip(names, samples, strict=True)}
            for i in range(len(samples[0]))
        )
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.int8
        converter.inference_output_type = tf.int8
    return bytes(converter.convert())


def _in_file_order(tflite: bytes, model: Any, samples: list[Array]) -> list[Array]:
    """Reorder samples by the signature: the converter does not keep the order of inputs."""
    if len(samples) < 2:
        return samples
    by_name = dict(zip((tensor.name for tensor in model.inputs), samples, strict=True))
    return arrays_of(by_name, tflite_inputs(editor.read(tflite)))
