"""An int8 model as a function that TensorFlow differentiates.

Weights and activations are real numbers, rounded to what int8 can hold: the gradient passes each
rounding as if it were none. Weights and biases of fully-connected layers and convolutions can be
trained, and are written back into the operators; depthwise convolutions, and weights of several
layers, stay as they are.

This module imports TensorFlow (8 s); `import tflm_sparsesep` does not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tflm_sparsesep.compression.output_importance import scores
from tflm_sparsesep.converters.blob.value_streams import PALETTE_SIZE
from tflm_sparsesep.converters.errors import ModelError
from tflm_sparsesep.converters.factorize.chain import RealLayer
from tflm_sparsesep.converters.layers import real
from tflm_sparsesep.converters.layers.quantized import Unsupported
from tflm_sparsesep.converters.layers.real import DEPTHWISE, LAYERS, MAX_INT8
from tflm_sparsesep.converters.tflite.editor import (
    BuiltinOperator,
    Model,
    Operator,
    Tensor,
    TensorType,
)
from tflm_sparsesep.converters.tflite.references import buffer_users, is_shared

Array = npt.NDArray[Any]

_INT8 = np.iinfo(np.int8)
_LEAST_SCALE = 1e-12
# Steps of the outputs that a bias is counted in.
_BIAS_STEPS = 32
# Activation functions of the schema, as the limits that they set.
_LIMITS = {0: (-math.inf, math.inf), 1: (0.0, math.inf), 2: (-1.0, 1.0), 3: (0.0, 6.0)}


class TrainedLayer:
    """The variables of a fully-connected layer or convolution.

    Zeros of its weights stay zeros. Weights of at most 16 values keep to these values. Variables
    are in units of the layer, so that one learning rate suits all layers whatever their scales:
    the root mean square of the kept weights of a row, and some steps of the outputs.
    """

    def __init__(self, op: Operator) -> None:
        self._op = op
        layer = real.read(op)
        quantized = np.asarray(op.weights.array, np.int64).reshape(layer.weights.shape)
        assert op.weights.quantization is not None  # `real.read` checks it
        self._per_row = len(op.weights.quantization.scales) > 1
        self._mask = tf.constant(quantized != 0, tf.float32)
        kept = np.maximum(np.count_nonzero(quantized, axis=1), 1)
        power = np.square(layer.weights).sum(axis=1) / kept
        unit = np.sqrt(np.where(power > 0, power, 1.0)).astype(np.float32)[:, None]
        output = op.outputs[0].quantization
        assert output is not None  # `real.read` checks it
        self._units = unit, np.float32(_BIAS_STEPS * output.scales[0])
        self._weights = tf.Variable(layer.weights.astype(np.float32) / self._units[0])
        self._bias = tf.Variable(layer.bias.astype(np.float32) / self._units[1])
        self._palette = _Palette.of(quantized, np.asarray(op.weights.quantization.scales))

    @property
    def variables(self) -> list[Any]:
        """Return what is trained."""
        return [self._weights, self._bias]

    @property
    def bias(self) -> Any:
        """Return the bias in real numbers."""
        return self._bias * self._units[1]

    def rounded(self) -> Any:
        """Return the weights as int8 holds them; the gradient is that of the weights."""
        weights = self._weights * self._units[0] * self._mask
        if self._palette is not None:
            return weights + tf.stop_gradient(self._palette.nearest(weights) - weights)
        largest = tf.reduce_max(tf.abs(weights), axis=1 if self._per_row else None, keepdims=True)
        scale = tf.maximum(largest / MAX_INT8, _LEAST_SCALE)
        return weights + tf.stop_gradient(tf.round(weights / scale) * scale - weights)

    def write(self) -> None:
        """Give the operator the numbers that were trained."""
        weights = self.rounded().numpy().astype(np.float64)
        real.write(self._op, weights, self.bias.numpy().astype(np.float64))


@dataclass(frozen=True)
class _Palette:
    """The magnitudes that the weights of a layer take, in steps of the scale of each row.

    Attributes:
        table: the nearest magnitude of each from 0 to 127.
        scale: [rows, 1], or [1, 1].
        held: the largest weight of each row, float32[rows, cols], elsewhere 0: it says what the
            scale is, and stays.
    """

    table: Any
    scale: Any
    held: Any

    @classmethod
    def of(cls, quantized: Array, scales: Array) -> _Palette | None:
        """Return the palette of int8 weights [rows, cols]; None where they take more values."""
        magnitudes = np.unique(np.abs(quantized[quantized != 0]))
        if len(magnitudes) > PALETTE_SIZE // 2 or MAX_INT8 not in magnitudes:
            return None
        steps = np.arange(MAX_INT8 + 1)
        nearest = magnitudes[np.abs(steps[:, None] - magnitudes).argmin(axis=1)]
        scale = scales.reshape(-1, 1).astype(np.float32)
        first = np.zeros_like(quantized)
        rows = np.arange(len(quantized))
        largest = np.abs(quantized).argmax(axis=1)
        first[rows, largest] = quantized[rows, largest]
        return cls(
            tf.constant(nearest, tf.float32),
            tf.constant(scale),
            tf.constant(first * scale, tf.float32),
        )

    def nearest(self, weights: Any) -> Any:
        """Return the nearest values; zeros stay."""
        steps = tf.clip_by_value(tf.round(tf.abs(weights) / self.scale), 0, MAX_INT8)
        found = tf.gather(self.table, tf.cast(steps, tf.int32)) * self.scale * tf.sign(weights)
        return tf.where(self.held != 0, self.held, found)


class DifferentiableModel:
    """The main subgraph of a model.

    Args:
        model: an int8 model; `write` changes its operators.
        is_trained: make variables of what can be trained, else constants.
        name: what errors call it.

    Raises:
        ModelError: an operator has no equivalent here.
    """

    def __init__(self, model: Model, *, is_trained: bool, name: str = "model") -> None:
        main = model.subgraphs[0]
        self._inputs, self._scores = main.inputs, scores(main)
        self.layers: list[TrainedLayer] = []
        self._users = buffer_users(model)
        self._steps: list[tuple[Operator, Callable[..., Any]]] = []
        for op in main.operators:
            try:
                self._steps.append((op, self._step(op, is_trained)))
            except Unsupported as error:
                raise ModelError(
                    f"{name}: {op.op_name} cannot be trained ({error}); fine-tune the Keras model "
                    "that it was made from (CompressResult.to_keras)"
                ) from None

    @property
    def variables(self) -> list[Any]:
        """Return what can be trained."""
        return [variable for layer in self.layers for variable in layer.variables]

    def __call__(self, inputs: Sequence[Any]) -> dict[str, Any]:
        """Return all activations by the names of their tensors, float32[n, ...]."""
        pairs = zip(self._inputs, inputs, strict=True)
        known: dict[Tensor, Any] = {tensor: _rounded(value, tensor) for tensor, value in pairs}
        for op, step in self._steps:
            entering = [known[t] for t in op.inputs if t is not None and t in known]
            known[op.outputs[0]] = _rounded(step(*entering), op.outputs[0])
        return {tensor.name: value for tensor, value in known.items()}

    def score_names(self) -> list[str]:
        """Return the names of the outputs, before a softmax."""
        return [tensor.name for tensor in self._scores]

    @property
    def is_classifier(self) -> bool:
        """Return True if the scores become probabilities."""
        return any(op.builtin_code == BuiltinOperator.SOFTMAX for op, _ in self._steps)

    def layer_names(self) -> list[str]:
        """Return the names of the outputs of all layers with weights."""
        codes = (*LAYERS, DEPTHWISE)
        return [op.outputs[0].name for op, _ in self._steps if op.builtin_code in codes]

    def _step(self, op: Operator, is_trained: bool) -> Callable[..., Any]:
        """Return the function of the activations that an operator reads."""
        if len(op.outputs) != 1:
            raise Unsupported(f"{len(op.outputs)} outputs")
        if op.builtin_code in LAYERS:
            if is_trained and not is_shared(op, self._users):
                trained = TrainedLayer(op)
                self.layers.append(trained)
                return _layer(op, trained.rounded, lambda: trained.bias)
            numbers = real.read(op)
            weights, bias = (tf.constant(v, tf.float32) for v in (numbers.weights, numbers.bias))
            return _layer(op, lambda: weights, lambda: bias)
        if op.builtin_code == DEPTHWISE:
            return _depthwise(op, real.read(op))
        if op.builtin_code == BuiltinOperator.ADD:
            low, high = _LIMITS[int(op.options.fusedActivationFunction)]
            return lambda a, b: tf.clip_by_value(a + b, low, high)
        if op.builtin_code in (BuiltinOperator.AVERAGE_POOL_2D, BuiltinOperator.MAX_POOL_2D):
            return _pool(op)
        if op.builtin_code == BuiltinOperator.RESHAPE:
            shape = [-1, *op.outputs[0].shape[1:]]
            return lambda x: tf.reshape(x, shape)
        if op.builtin_code == BuiltinOperator.SOFTMAX:
            softmax: Callable[..., Any] = tf.nn.softmax
            return softmax
        if op.builtin_code == BuiltinOperator.MEAN and op.inputs[1] is not None:
            axes = np.asarray(op.inputs[1].array).reshape(-1).tolist()
            shape = [-1, *op.outputs[0].shape[1:]]
            return lambda x: tf.reshape(tf.reduce_mean(x, axes), shape)
        raise Unsupported("no equivalent")


def _layer(op: Operator, weights: Callable[[], Any], bias: Callable[[], Any]) -> Callable[..., Any]:
    numbers = real.read(op)

    def run(x: Any) -> Any:
        if op.builtin_code == BuiltinOperator.FULLY_CONNECTED:
            z = tf.matmul(
                tf.reshape(x, [-1, numbers.weights.shape[1]]), weights(), transpose_b=True
            )
        else:
            kernel = tf.reshape(weights(), [-1, *numbers.taps, numbers.channels])
            kernel = tf.transpose(kernel, [1, 2, 3, 0])
            z = tf.nn.conv2d(x, kernel, list(numbers.strides), _padding(op))
        z = tf.clip_by_value(z + bias(), numbers.lower, numbers.upper)
        return tf.reshape(z, [-1, *op.outputs[0].shape[1:]])

    return run


def _depthwise(op: Operator, numbers: RealLayer) -> Callable[..., Any]:
    kernel = numbers.weights.T.reshape(*numbers.taps, len(numbers.weights), 1)
    weights, bias = tf.constant(kernel, tf.float32), tf.constant(numbers.bias, tf.float32)
    strides = [1, *numbers.strides, 1]

    def run(x: Any) -> Any:
        z = tf.nn.depthwise_conv2d(x, weights, strides, _padding(op)) + bias
        return tf.clip_by_value(z, numbers.lower, numbers.upper)

    return run


def _pool(op: Operator) -> Callable[..., Any]:
    is_mean = op.builtin_code == BuiltinOperator.AVERAGE_POOL_2D
    function = tf.nn.avg_pool2d if is_mean else tf.nn.max_pool2d
    size = [int(op.options.filterHeight), int(op.options.filterWidth)]
    return lambda x: function(x, size, list(op.strides), _padding(op))


def _padding(op: Operator) -> str:
    return "SAME" if op.is_same else "VALID"


def _rounded(value: Any, tensor: Tensor) -> Any:
    """Return what the int8 tensor would hold, in real numbers."""
    if tensor.type != TensorType.INT8 or tensor.quantization is None:
        raise ModelError(f"tensor {tensor.name!r} is not int8, accepted: int8 activations")
    scale = float(tensor.quantization.scales[0])
    zero = int(tensor.quantization.zero_points[0]) if len(tensor.quantization.zero_points) else 0
    low, high = (scale * (limit - zero) for limit in (_INT8.min, _INT8.max))
    return tf.quantization.fake_quant_with_min_max_args(value, low, high)
