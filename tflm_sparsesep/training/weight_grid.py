"""Training with the weights that the converted model will have.

TensorFlow's converter stores a kernel as int8 with one scale for each output,

    scale = max |w| / 127 over the weights of the output,    w ~ scale * q,    q = round(w / scale).

Kernels on this grid are stored as they are. Where `palette` limits the integers to 16 values for
the whole layer, the packer's palette layout stores them as they are, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from keras import ops

from tflm_sparsesep.converters.blob.value_streams import PALETTE_SIZE
from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.training.device_layer import DeviceLayer
from tflm_sparsesep.training.palette import LARGEST, fit_palette, nearest_in
from tflm_sparsesep.training.sparsifiable import SparseKernel, trainable_layers

Array = npt.NDArray[Any]
Tensor = Any

# Patterns whose weights are stored one by one.
_SINGLE_WEIGHTS = ("1x1", "row", "column")

_DTYPES = ("float32", "float64")


@dataclass(frozen=True)
class GridKernel:
    """A kernel to keep on values that can be stored.

    Attributes:
        kernel: the `keras.Variable`, [..., inputs, outputs].
        output_axes: how many of its last axes count outputs: 2 for depthwise kernels, else 1.
        palette: whether its integers come from a palette; else from all of int8.
    """

    kernel: Any
    output_axes: int = 1
    palette: bool = False


def palette_kernels(kernels: Sequence[SparseKernel]) -> list[SparseKernel]:
    """Those of `kernels` that the packer's palette layout could store.

    It is there for layers with a sparse kernel on the device (`DeviceLayer.has_kernel`), and
    stores single weights.

    Raises:
        ConfigError: none could be.
    """
    found = [
        k
        for k in kernels
        if k.blocks.pattern in _SINGLE_WEIGHTS and DeviceLayer.of(k.layer).has_kernel
    ]
    if not found:
        patterns = ", ".join(f"{k.name}: {k.blocks.pattern}" for k in kernels)
        raise ConfigError(
            f"values='palette' with the layers and patterns {patterns}; accepted: at least one "
            "Dense layer or convolution of one tap or along one axis, of pattern "
            f"{' or '.join(_SINGLE_WEIGHTS)}"
        )
    return found


def kernels_of_few_values(kernels: Sequence[SparseKernel]) -> list[SparseKernel]:
    """Those of `kernels` that are stored one by one, have zeros, and fit a palette as they are."""
    found = []
    for k in kernels:
        if k.blocks.pattern not in _SINGLE_WEIGHTS or not DeviceLayer.of(k.layer).has_kernel:
            continue
        weights = ops.convert_to_numpy(ops.cast(k.kernel, "float32"))
        steps, _ = _in_steps(weights, output_axes=1)
        magnitudes = np.unique(steps)
        if magnitudes[0] == 0 and 0 < len(magnitudes) - 1 <= PALETTE_SIZE // 2:
            found.append(k)
    return found


def grid_kernels(model: Any, palettes: Sequence[SparseKernel]) -> list[GridKernel]:
    """All trainable kernels that the converter quantises; those of `palettes` with a palette.

    Raises:
        ConfigError: a kernel's dtype is too coarse for 127 steps of a scale.
    """
    layers = {id(layer.kernel): layer for layer in reversed(trainable_layers(model))}
    with_palette = {id(k.kernel) for k in palettes}
    for layer in layers.values():
        dtype = layer.kernel.dtype
        if dtype not in _DTYPES:
            raise ConfigError(
                f"values= with the {dtype} kernel of {layer.name!r}; accepted: variables of "
                f"{' or '.join(_DTYPES)}, as under the policy 'mixed_{dtype}'"
            )
    return [
        GridKernel(
            layer.kernel,
            output_axes=2 if hasattr(layer, "depth_multiplier") else 1,
            palette=key in with_palette,
        )
        for key, layer in layers.items()
    ]


class WeightGrid:
    """Rounds kernels after each step, and carries what rounding took off to the next one.

    With g the kernel, which is always on the grid, and r what was rounded off,

        w <- optimizer's step on g, + r;    g <- round(w);    r <- w - g

    Gradients are those at the rounded weights, and steps too small to reach the next value add up:
    the straight-through estimator, w being its latent weights. What is evaluated and saved is g.

    Args:
        kernels: what to round.
        strategy: in whose scope variables are made.
    """

    def __init__(self, kernels: Sequence[GridKernel], strategy: Any) -> None:
        self._kernels = list(kernels)
        # For each kernel and each magnitude 0..127: the one that it is rounded to.
        with strategy.scope():
            self.active = tf.Variable(False, trainable=False)
            self._tables = tf.Variable(_as_they_are(len(kernels)), trainable=False)
            self._rests = [tf.Variable(tf.zeros(k.kernel.shape), trainable=False) for k in kernels]

    def activate(self) -> None:
        """Chooses the palettes that suit the weights now, and rounds from the next step on."""
        tables = _as_they_are(len(self._kernels))
        for table, k in zip(tables, self._kernels, strict=True):
            if k.palette:
                weights = ops.convert_to_numpy(ops.cast(k.kernel, "float32"))
                table[:] = nearest_in(fit_palette(*_in_steps(weights, k.output_axes)))
        self._tables.assign(tables)
        self.active.assign(True)

    def forget(self) -> None:
        """Drops what was rounded off: the kernels as they are now count."""
        for rest in self._rests:
            rest.assign(tf.zeros_like(rest))

    def rounded(self, supports: Sequence[tuple[Any, Any]]) -> tuple[list[Any], list[Tensor]]:
        """The variables to assign, kernels and what is rounded off them, and their next values.

        `supports` are pairs of a kernel and a bool tensor, false where its weights have to be 0;
        kernels that are not to be rounded may be among them.
        """
        masks = {id(kernel): support for kernel, support in supports}
        values, rests = [], []
        for k, rest, table in zip(
            self._kernels, self._rests, tf.unstack(self._tables), strict=True
        ):
            latent = ops.cast(k.kernel, "float32") + rest
            if id(k.kernel) in masks:
                latent = tf.where(masks[id(k.kernel)], latent, 0.0)
            value = round_to_grid(latent, table, k.output_axes)
            values.append(tf.cast(value, k.kernel.dtype))
            rests.append(latent - value)
        known = {id(k.kernel) for k in self._kernels}
        others = [(kernel, support) for kernel, support in supports if id(kernel) not in known]
        kept = [tf.where(support, kernel, tf.zeros_like(kernel)) for kernel, support in others]
        variables = [k.kernel.value for k in self._kernels] + self._rests
        return [*variables, *(kernel.value for kernel, _ in others)], [*values, *rests, *kept]


def round_to_grid(weights: Tensor, table: Tensor, output_axes: int = 1) -> Tensor:
    """scale * sign(w) * table[round(|w| / scale)], scale = max |w| / 127 for each output.

    Args:
        weights: float32 [..., inputs, outputs].
        table: float32[128], what each magnitude is rounded to; 127 to itself.
        output_axes: as in `GridKernel`.

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


def _as_they_are(kernels: int) -> npt.NDArray[np.float32]:
    """Tables that round to all of int8, [kernels, 128]."""
    return np.tile(np.arange(LARGEST + 1, dtype=np.float32), (kernels, 1))


def _in_steps(weights: Array, output_axes: int) -> tuple[Array, Array]:
    """Magnitudes of a kernel in steps of their scales, rounded, and the squares of the scales."""
    axes = tuple(range(weights.ndim - output_axes))
    magnitudes = np.nan_to_num(np.abs(weights), nan=0.0, posinf=0.0)
    scale = magnitudes.max(axis=axes, keepdims=True) / LARGEST
    steps = np.rint(magnitudes / np.where(scale > 0, scale, 1)).astype(np.int64)
    return steps, np.broadcast_to(np.square(scale), weights.shape)
