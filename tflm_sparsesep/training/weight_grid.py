"""Training with the weights that the converted model will have.

TensorFlow's converter stores a kernel as int8 with one scale for each output,

    scale = max |w| / 127 over the weights of the output,    w ~ scale * q,    q = round(w / scale).

Kernels on this grid are stored without further error. If a palette limits the integers to 16 values
for the whole layer, the palette layouts of the packer store them without error, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from keras import ops

from tflm_sparsesep.converters.blob.value_streams import PALETTE_SIZE
from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.training.palette import LARGEST, fit_palette, nearest_in
from tflm_sparsesep.training.trained_layer import TrainedLayer

Array = npt.NDArray[Any]
Tensor = Any

# Patterns whose weights are stored one by one.
_SINGLE_WEIGHTS = ("1x1", "row", "column")

_DTYPES = ("float32", "float64")


def with_palettes(layers: Sequence[TrainedLayer]) -> list[TrainedLayer]:
    """Return `layers` with a palette for each that a palette layout can store.

    Palette layouts store single weights of layers that have a sparse kernel on the device.

    Raises:
        ConfigError: there is no such layer.
    """
    if not any(_can_have_palette(x) for x in layers):
        patterns = ", ".join(f"{x.name}: {x.blocks.pattern}" for x in layers if x.selected)
        raise ConfigError(
            f"values='palette' with the layers and patterns {patterns}; accepted: at least one "
            "Dense, Conv1D or Conv2D layer of pattern "
            f"{' or '.join(_SINGLE_WEIGHTS)}"
        )
    return [replace(x, palette=_can_have_palette(x)) for x in layers]


def with_present_palettes(layers: Sequence[TrainedLayer]) -> list[TrainedLayer]:
    """Return `layers` with a palette for each sparse one whose weights fit one already."""
    return [replace(x, palette=_can_have_palette(x) and _fits_palette(x)) for x in layers]


def _can_have_palette(layer: TrainedLayer) -> bool:
    return layer.packable and layer.blocks.pattern in _SINGLE_WEIGHTS


def _fits_palette(layer: TrainedLayer) -> bool:
    """Return True if the kernel has zeros and its int8 weights take 1 to 8 magnitudes."""
    steps, _ = _in_steps(layer)
    magnitudes = np.unique(steps)
    return bool(magnitudes[0] == 0 and 0 < len(magnitudes) - 1 <= PALETTE_SIZE // 2)


class WeightGrid:
    """Rounds kernels after each step and carries the rounding error to the next one.

    With g the kernel, which is always on the grid, and r the rounding error,

        w <- optimizer's step on g, + r;    g <- round(w);    r <- w - g

    Gradients are those at the rounded weights, and steps too small to reach the next value add up:
    the straight-through estimator, w being its latent weights. Evaluation and saving see g.

    Args:
        layers: the layers whose kernels are rounded.
        strategy: the distribution strategy in whose scope variables are made.

    Raises:
        ConfigError: the dtype of a kernel is too coarse for 127 steps of a scale.
    """

    def __init__(self, layers: Sequence[TrainedLayer], strategy: Any) -> None:
        for layer in layers:
            dtype = layer.kernel.dtype
            if dtype not in _DTYPES:
                raise ConfigError(
                    f"values= with the {dtype} kernel of {layer.name!r}; accepted: variables of "
                    f"{' or '.join(_DTYPES)}, as under the policy 'mixed_{dtype}'"
                )
        self._layers = list(layers)
        # For each layer and each magnitude 0..127: the one that it is rounded to.
        with strategy.scope():
            self.active = tf.Variable(False, trainable=False)
            self._tables = tf.Variable(_identity_tables(len(layers)), trainable=False)
            self._rests = [tf.Variable(tf.zeros(x.kernel.shape), trainable=False) for x in layers]

    def activate(self) -> None:
        """Fit the palettes to the present weights, and round from the next step on."""
        tables = _identity_tables(len(self._layers))
        for table, layer in zip(tables, self._layers, strict=True):
            if layer.palette:
                table[:] = nearest_in(fit_palette(*_in_steps(layer)))
        self._tables.assign(tables)
        self.active.assign(True)

    def forget(self) -> None:
        """Drop the rounding errors: the kernels count as they are."""
        for rest in self._rests:
            rest.assign(tf.zeros_like(rest))

    def rounded(self, supports: Mapping[TrainedLayer, Tensor]) -> tuple[list[Any], list[Tensor]]:
        """Return the variables to assign, kernels and rounding errors, and their next values.

        Args:
            supports: bool tensors in the shapes of kernels, False where weights have to be 0.
                Layers that are not rounded may be among them.
        """
        values, rests = [], []
        tables = tf.unstack(self._tables)
        for layer, rest, table in zip(self._layers, self._rests, tables, strict=True):
            latent = ops.cast(layer.kernel, "float32") + rest
            if layer in supports:
                latent = tf.where(supports[layer], latent, 0.0)
            value = round_to_grid(latent, table, layer.output_axes)
            values.append(tf.cast(value, layer.kernel.dtype))
            rests.append(latent - value)
        others = [layer for layer in supports if layer not in self._layers]
        kept = [tf.where(supports[x], x.kernel, tf.zeros_like(x.kernel)) for x in others]
        variables = [x.kernel.value for x in self._layers] + self._rests
        return [*variables, *(x.kernel.value for x in others)], [*values, *rests, *kept]


def round_to_grid(weights: Tensor, table: Tensor, output_axes: int = 1) -> Tensor:
    """Return scale * sign(w) * table[round(|w| / scale)], scale = max |w| / 127 for each output.

    Args:
        weights: float32 [..., inputs, outputs].
        table: float32[128], the value that each magnitude is rounded to; 127 to itself.
        output_axes: the number of last axes that count outputs, see `TrainedLayer`.

    Example:
        >>> weights = np.array([[1.27], [0.304], [0.0]], np.float32)
        >>> np.array(round_to_grid(weights, np.arange(128.0))).ravel().round(6)
        array([1.27, 0.3 , 0.  ], dtype=float32)
    """
    axes = tuple(range(len(weights.shape) - output_axes))
    magnitudes = ops.abs(weights)
    scale = ops.max(magnitudes, axis=axes, keepdims=True) / LARGEST
    steps = ops.round(magnitudes / ops.where(scale > 0, scale, 1.0))
    # The clip keeps the lookup in bounds when training has gone to NaN.
    rounded = ops.take(table, ops.clip(ops.cast(steps, "int32"), 0, LARGEST))
    value = scale * ops.sign(weights) * ops.cast(rounded, "float32")
    return ops.where(rounded > 0, value, 0.0)  # never -0.0


def _identity_tables(layers: int) -> npt.NDArray[np.float32]:
    """Return tables that round to all of int8, [layers, 128]."""
    return np.tile(np.arange(LARGEST + 1, dtype=np.float32), (layers, 1))


def _in_steps(layer: TrainedLayer) -> tuple[Array, Array]:
    """Return magnitudes in steps of their scales, rounded, and the squares of the scales."""
    weights = layer.weights().astype(np.float32)
    axes = tuple(range(weights.ndim - layer.output_axes))
    magnitudes = np.nan_to_num(np.abs(weights), nan=0.0, posinf=0.0)
    scale = magnitudes.max(axis=axes, keepdims=True) / LARGEST
    steps = np.rint(magnitudes / np.where(scale > 0, scale, 1)).astype(np.int64)
    return steps, np.broadcast_to(np.square(scale), weights.shape)
