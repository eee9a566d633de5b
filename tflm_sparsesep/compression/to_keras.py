"""Convert a compressed model to Keras layers for fine-tuning.

This module imports Keras (8 s with TensorFlow); `import tflm_sparsesep` does not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np

from tflm_sparsesep.compression.compressed_layers import CompressedLayer
from tflm_sparsesep.converters.errors import ConfigError, ModelError
from tflm_sparsesep.converters.factorize.chain import RealLayer
from tflm_sparsesep.converters.factorize.gram import Matrix, Vector
from tflm_sparsesep.training.trained_layer import walk

_DEPTHWISE = keras.layers.DepthwiseConv2D
_LAYERS = (keras.layers.Dense, keras.layers.Conv1D, keras.layers.Conv2D, _DEPTHWISE)
# As a share of the power of a layer's weights; rounding them to int8 takes less than a hundredth.
_MOST_DIFFERENCE = 0.1
# One factor for each output always fits a little better; a folded normalization, far better.
_CLEARLY_BETTER = 1.5
_LEAST = 1e-30


@dataclass(frozen=True)
class _Match:
    """A Keras layer and its compressed form.

    Attributes:
        layer: the Keras layer.
        compressed: the same in the .tflite files.
        factor, shift: per output, what the converter folded into the layer, such as a
            normalization after it: weights in the file = factor * weights, bias in the file =
            factor * bias + shift.
    """

    layer: Any
    compressed: CompressedLayer
    factor: Vector
    shift: Vector

    @property
    def parts(self) -> list[RealLayer]:
        """Return the compressed layers without what was folded into them."""
        *first, last = self.compressed.parts
        weights = last.weights / self.factor[:, None]
        bias = (last.bias - self.shift) / self.factor
        return [*first, replace(last, weights=weights, bias=bias)]


def to_keras(model: Any, compressed: Sequence[CompressedLayer]) -> Any:
    """Return a copy of `model` whose compressed layers have their new structure and weights.

    Args:
        model: the Sequential or functional model that was compressed; it is not changed.
        compressed: its changed layers.

    Returns:
        The copy, not compiled. A layer that became two matrices is two layers: NAME_part1 and
        NAME. Layers that were not compressed keep their float weights.

    Raises:
        ConfigError: `model` is not a Sequential or functional model, or has not been built.
        ModelError: it is not the model that was compressed; or a compressed layer is used more
            than once, is inside a layer such as TimeDistributed, or has no equivalent in Keras.
    """
    if not isinstance(model, keras.Model) or not model.built:
        raise ConfigError(
            f"model is a {type(model).__name__}, accepted: a Sequential or functional Keras model "
            "that has been built"
        )
    matches = _match(model, compressed)
    clones: list[tuple[Any, list[Any]]] = []

    def clone(layer: Any) -> list[Any]:
        match = matches.get(id(layer))
        copies = (
            [type(layer).from_config(layer.get_config())] if match is None else _new_layers(match)
        )
        clones.append((layer, copies))
        return copies

    try:
        copy = _copy(model, clone)
    except ValueError as error:
        reason = str(error).strip().splitlines()[0]
        raise ConfigError(
            f"model {model.name!r} cannot be copied ({reason}); accepted: Sequential or functional"
        ) from error
    for layer, copies in clones:
        match = matches.pop(id(layer), None)
        if match is None:
            copies[0].set_weights(layer.get_weights())
        else:
            _set_weights(match, copies)
    if matches:
        inner = ", ".join(repr(match.layer.name) for match in matches.values())
        raise ModelError(f"layers inside other layers cannot be replaced: {inner}")
    return copy


def _copy(model: Any, clone: Callable[[Any], list[Any]]) -> Any:
    """Return `model` with each layer replaced by the chain of layers that `clone` returns."""

    def copied(layer: Any) -> list[Any]:
        return [_copy(layer, clone)] if isinstance(layer, keras.Model) else clone(layer)

    if isinstance(model, keras.Sequential):
        (entry,) = model.inputs
        inputs = keras.Input(batch_shape=entry.shape, dtype=entry.dtype, name=entry.name)
        layers = [one for layer in model.layers for one in copied(layer)]
        return keras.Sequential([inputs, *layers], name=model.name, trainable=model.trainable)
    chains: dict[int, list[Any]] = {}

    def first_of(layer: Any) -> Any:
        first, *rest = copied(layer)
        chains[id(first)] = rest
        return first

    def call(layer: Any, *arguments: Any, **options: Any) -> Any:
        outputs = layer(*arguments, **options)
        for one in chains[id(layer)]:
            outputs = one(outputs)
        return outputs

    return keras.models.clone_model(model, clone_function=first_of, call_function=call)


def _match(model: Any, compressed: Sequence[CompressedLayer]) -> dict[int, _Match]:
    """Return the Keras layer whose weights each compressed layer had, by the id of the layer."""
    layers = {id(x): x for x in walk(model) if isinstance(x, _LAYERS) and x.built}
    found: dict[int, _Match] = {}
    for one in compressed:
        fits = [fit for layer in layers.values() if (fit := _fit(layer, one)) is not None]
        if not fits:
            raise ModelError(
                f"layer {one.name!r} of the compressed model has the weights of no layer of the "
                f"Keras model {model.name!r}, accepted: the model that was compressed"
            )
        _, best = min(fits, key=lambda fit: fit[0])
        if id(best.layer) in found:
            raise ModelError(
                f"layer {best.layer.name!r} is used more than once, accepted: once, where it was "
                "compressed"
            )
        found[id(best.layer)] = best
        _check_strides(best)
    return found


def _check_strides(match: _Match) -> None:
    if any(part.is_depthwise and len(set(part.strides)) > 1 for part in match.parts):
        raise ModelError(
            f"layer {match.layer.name!r} became two depthwise convolutions whose vertical and "
            "horizontal strides differ, which Keras does not support; accepted: stride 1"
        )


def _fit(layer: Any, compressed: CompressedLayer) -> tuple[float, _Match] | None:
    """Return the difference from the compressed layer, and the match; None for another layer."""
    wanted, found = compressed.before.weights, _as_matrix(layer)
    if (
        wanted.shape != found.shape
        or isinstance(layer, _DEPTHWISE) != compressed.before.is_depthwise
    ):
        return None
    power = max(float(np.square(wanted).sum()), _LEAST)
    factor = (wanted * found).sum(axis=1) / np.maximum(np.square(found).sum(axis=1), _LEAST)
    plain = float(np.square(wanted - found).sum()) / power
    scaled = float(np.square(wanted - factor[:, None] * found).sum()) / power
    if scaled > _MOST_DIFFERENCE:
        return None
    if plain <= _CLEARLY_BETTER * scaled:
        factor = np.ones(len(wanted))
    factor = np.where(factor == 0, 1.0, factor)
    shift = compressed.before.bias - factor * _bias(layer)
    return scaled, _Match(layer, compressed, factor, shift)


def _as_matrix(layer: Any) -> Matrix:
    """Return the kernel [..., inputs, outputs] as [outputs, all taps and inputs].

    The kernel of a depthwise convolution, [..., channels, multiplier], becomes [outputs, taps].
    """
    kernel = keras.ops.convert_to_numpy(layer.kernel)
    rows = math.prod(kernel.shape[-2:]) if isinstance(layer, _DEPTHWISE) else kernel.shape[-1]
    found: Matrix = kernel.reshape(-1, rows).T.astype(np.float64)
    return found


def _bias(layer: Any) -> Vector:
    if layer.bias is None:
        return np.zeros(len(_as_matrix(layer)))
    return np.asarray(keras.ops.convert_to_numpy(layer.bias), np.float64)


def _new_layers(match: _Match) -> list[Any]:
    """Return the layers that replace one; weights are set when they are built.

    The last one has the name and the activation.
    """
    layer, parts = match.layer, match.parts
    first = [
        _like(layer, part, name=f"{layer.name}_part{number}", activation=None, use_bias=True)
        for number, part in enumerate(parts[:-1], 1)
    ]
    return [*first, _like(layer, parts[-1], use_bias=_needs_bias(match))]


def _needs_bias(match: _Match) -> bool:
    return match.layer.bias is not None or bool(np.any(match.parts[-1].bias))


def _like(layer: Any, part: RealLayer, **changes: Any) -> Any:
    """Return a layer of the same class with the shape of `part`."""
    config = layer.get_config() | changes
    if isinstance(layer, keras.layers.Dense):
        config["units"] = len(part.weights)
    else:
        rank = len(layer.kernel_size)  # of a Conv1D 1: its taps are the last
        filters = {} if part.is_depthwise else {"filters": len(part.weights)}
        config |= {
            **filters,
            "kernel_size": part.taps[-rank:],
            "strides": part.strides[-rank:],
            "padding": "same" if part.same else layer.padding,
        }
    return type(layer).from_config(config)


def _set_weights(match: _Match, layers: Sequence[Any]) -> None:
    for layer, part in zip(layers, match.parts, strict=True):
        values = [part.weights.T.reshape(layer.kernel.shape), part.bias]
        layer.set_weights([value.astype(np.float32) for value in values[: 1 + layer.use_bias]])
